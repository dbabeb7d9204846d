;; Each way of writing a field, a block and a number.
(module $shapes ;; to the end of the line
  (; over
     (; nested ;)
     lines ;)
  (type $pair (func (param $a i32) (param i64 f32) (result i32 i64)))
  (type (func))
  (import "m" "f" (func $imported (param i32) (param $x i64) (result f64)))
  (import "m" "t" (table $it 1 2 externref))
  (import "m" "mem" (memory $im 1 2))
  (import "m" "g" (global $ig (mut f32)))
  (import "m" "h" (func (type $pair)))
  (func $inline (export "inline") (export "again") (import "m" "i") (param f32))
  (global $inlineglobal (import "m" "ig") i64)
  (table $inlinetable (import "m" "it") 3 funcref)
  (export "later" (func $late))
  (export "table" (table $t))
  (export "memory" (memory $im))
  (export "global" (global 0))
  (table $t (export "t") 10 funcref)
  (table $listed funcref (elem $late $inline))
  (table $refs funcref (elem (ref.func $late) (ref.null func)))
  (global $const f64 (f64.const 0x1p-1074))
  (global $folded (mut i32) (i32.const 0xffffffff))
  (global (export "flat") i64 i64.const -9223372036854775808)
  (global externref (ref.null extern))
  (elem (i32.const 0) $late $late)
  (elem (offset (i32.const 1)) func $late)
  (elem (table $listed) (i32.const 0) func 1 2)
  (elem $passive func $late)
  (elem declare func $inline)
  (elem $exprs funcref (ref.func $late) (item ref.func 0))
  (elem $mixed funcref (item (ref.null func)) (item (ref.func $late)))
  (elem (table $it) (i32.const 0) externref (ref.null extern))
  (elem externref)
  (data (i32.const 8) "plain" " and \"quoted\" \t\n\r\'\\ \00\ff \u{48}\u{20ac}é")
  (data $nothing "")
  (data (memory $im) (offset i32.const 4) "x")
  (data $some "passive")
  (start $go)
  (func $go)
  (func $late (param i32) (param $named i64) (result i32)
    (local i32 i32) (local $n f32) (local f32) (local) (local $m i64)
    local.get 0
    if $a (result i32)
      i32.const 1
    else $a
      i32.const 2
    end $a
    drop
    (if (i32.eqz (local.get 0)) (then nop) (else))
    (if $l (result i32) (local.get 0) (then (i32.const 1)) (else (br $l (i32.const 2))))
    drop
    block $outer
      loop $inner
        br $outer
        br $inner
        br_if 1
        local.get 0
        br_table $outer $inner 1 0 $outer
      end
    end $outer
    (block $b (param i32) (result i32)
      (loop $b (type $pair) (br $b))
      (block (type 1) (br $b)))
    (block (result i64 i64) (i64.const 1) (i64.const +2))
    if
    end
    local.get 0
    if
      nop
    else
    end
    (drop (call_indirect $t (param i32) (result i32 i32) (i32.const 1) (call_indirect (result f64) (i32.const 2))))
    (drop (call_indirect (type $pair) (param i32 i64 f32) (result i32 i64) (i32.const 1)))
    (i32.store8 offset=3 align=1 (i32.const 0) (i32.const 1))
    (drop (i64.load32_u align=4 (i32.const 0)))
    (drop (select (result f32) (f32.const 1) (f32.const 2) (i32.const 0)))
    (drop (memory.grow (memory.size)))
    (memory.init $some (i32.const 0) (i32.const 0) (i32.const 0))
    (table.copy $listed $t (i32.const 0) (i32.const 0) (i32.const 0))
    (drop (ref.is_null (ref.null func)))
    (unreachable))
  (func (result f32)
    f32.const inf f32.const -inf f32.const nan f32.const -nan f32.const nan:0x200000
    f32.const 1_000.25 f32.const 0x1.fffffep127 f32.const 1e10 f32.const -0x0p0
    f32.const 0x1p-149 f32.const 123456789 f32.const 0xff_ff)
  (func (result f64)
    f64.const inf f64.const nan:0x4000000000000 f64.const -0.0 f64.const 1.7976931348623157e308
    f64.const 4.9406564584124654e-324 f64.const 0x1.fffffffffffffp1023)
  (func (result i64)
    i32.const 0x80000000 i32.const -0x80000000 i32.const 4294967295 i32.const 1_0 i32.const -1 i32.const +3
    i64.const 0xffffffffffffffff i64.const -0x8000000000000000 i64.const 18446744073709551615 i64.const 0))
