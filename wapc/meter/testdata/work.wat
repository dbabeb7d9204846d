;; Each exported function takes how much it is to do, and returns what came out.
(module
  (type $unary (func (param i32) (result i32)))
  (import "waxo_test" "plus" (func $plus (param i32) (result i32)))
  (memory (export "memory") 4 64)
  (global $state (mut i32) (i32.const 7))
  (table $t 8 funcref)
  (table $big (export "big") 1 200000 externref)
  (elem (table $t) (i32.const 0) func $leaf $even_indirect $mutual_a_indirect $ref)
  (elem declare func $declared)
  (elem $passive func $leaf $ref $leaf $ref)
  (data (i32.const 16) "some bytes that are moved around")
  (data $bytes "passive bytes")
  (export "imported" (func $plus))
  (start $begin)
  (func $begin (local $i i32)
    (loop $l (global.set $state (i32.add (global.get $state) (local.get $i)))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))))
  (func $leaf (type $unary) (i32.add (i32.mul (local.get 0) (i32.const 31)) (i32.const 17)))
  (func $declared (type $unary) (i32.xor (local.get 0) (i32.const 0x55)))
  (func $ref (type $unary) (i32.sub (local.get 0) (i32.const 1)))

  (func (export "loop") (type $unary) (local $s i32)
    (loop $l
      (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 3)) (local.get 0)))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $s))

  (func (export "while") (type $unary) (local $s i32)
    (block $out
      (loop $l
        (br_if $out (i32.eqz (local.get 0)))
        (local.set $s (i32.rotl (i32.add (local.get $s) (local.get 0)) (i32.const 5)))
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br $l)))
    (local.get $s))

  (func (export "nested") (type $unary) (local $i i32) (local $s i32)
    (loop $o
      (local.set $i (i32.const 50))
      (loop $l
        (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 3)) (local.get $i)))
        (if (i32.and (local.get $s) (i32.const 64)) (then
          (local.set $i (i32.sub (local.get $i) (i32.const 1)))
          (br_if $l (local.get $i))
          (br_if $o (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
          (return (local.get $s))))
        (br_if $l (i32.gt_s (local.tee $i (i32.sub (local.get $i) (i32.const 1))) (i32.const 0))))
      (br_if $o (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0))))
    (local.get $s))

  ;; A loop that takes and gives values.
  (func (export "values") (type $unary) (local $d i32)
    (i32.const 1) (i32.const 1)
    (loop $l (param i32 i32) (result i32)
      (local.set $d) (i32.add (local.get $d)) (local.get $d)
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
      (i32.xor)))

  (func (export "table") (type $unary) (local $s i32)
    (loop $l (block $b (block $a
      (local.set $s (i32.add (local.get $s) (local.get 0)))
      (br_table $a $b $l $l (i32.and (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 3))))
      (local.set $s (i32.mul (local.get $s) (i32.const 5)))
      (br_if $l (local.get 0))
      (return (local.get $s)))
      (local.set $s (i32.xor (local.get $s) (i32.const 0x1234)))
      (br_if $l (i32.gt_s (local.get 0) (i32.const 0))))
    (local.get $s))

  ;; A loop that nothing but a br_table turns to.
  (func (export "itself") (type $unary) (local $s i32)
    (block $out (loop $l
      (local.set $s (i32.rotl (i32.add (local.get $s) (local.get 0)) (i32.const 5)))
      (br_table $out $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
    (local.get $s))

  ;; The shape of a Go function: states 0 to 3, forward jumps and back.
  (func (export "states") (type $unary) (local $pc i32) (local $s i32)
    (loop $l (block $d (block $c (block $b (block $a
      (local.get $pc) (br_table $a $b $c $d))
      (local.set $s (i32.add (local.get $s) (i32.const 1)))
      (if (i32.and (local.get 0) (i32.const 1)) (then (local.set $pc (i32.const 2)) (br $l)))
      (if (i32.and (local.get 0) (i32.const 2)) (then (local.set $pc (i32.const 99)) (br $l)))
      (if (i32.and (local.get 0) (i32.const 4)) (then (local.set $pc (i32.const -1)) (br $l))))
      (local.set $s (i32.mul (local.get $s) (i32.const 3)))
      (if (i32.and (local.get $s) (i32.const 8)) (then (local.set $pc (i32.const 3)) (br $l))))
      (local.set $s (i32.xor (local.get $s) (local.get 0)))
      (block $z (if (i32.and (local.get $s) (i32.const 1)) (then (local.set $pc (i32.const 3)) (br $l)))))
      (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
      (if (i32.gt_s (local.get 0) (i32.const 0)) (then (local.set $pc (i32.const 0)) (br $l)))
      (block $e (block $f (block $g (block $h)
        ;; Blocks stand where those of the br_table were.
        (local.set $s (i32.add (local.get $s) (local.get $pc)))
        (if (i32.lt_s (local.get 0) (i32.const -3)) (then (return (i32.add (local.get $pc) (local.get $s)))))
        (local.set $pc (i32.const 1)) (br $l)))))
    (unreachable))

  (func (export "calls") (type $unary) (local $s i32)
    (loop $l
      (local.set $s (call $leaf (call $ref (local.get $s))))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $s))

  (func (export "host") (type $unary) (local $s i32)
    (loop $l
      (local.set $s (call $plus (local.get $s)))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $s))

  (func (export "indirect") (type $unary) (local $s i32)
    (loop $l
      (local.set $s (call_indirect $t (type $unary) (local.get $s) (i32.const 0)))
      (local.set $s (call_indirect $t (type $unary) (local.get $s) (i32.const 3)))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $s))

  (func $fib (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0)) (else
      (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "recursion") (type $unary) (local $s i32)
    (loop $l (local.set $s (i32.add (local.get $s) (call $fib (i32.const 12))))
      (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 400))) (i32.const 0))))
    (local.get $s))

  (func $even (param i32) (result i32)
    (if (result i32) (local.get 0) (then (call $odd (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 1))))
  (func $odd (param i32) (result i32)
    (if (result i32) (local.get 0) (then (call $even (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
  (func (export "mutual") (type $unary) (local $s i32)
    (loop $l (local.set $s (i32.add (local.get $s) (call $even (i32.add (i32.const 900) (i32.and (local.get 0) (i32.const 3))))))
      (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 901))) (i32.const 0))))
    (local.get $s))

  (func $even_indirect (type $unary)
    (if (result i32) (local.get 0)
      (then (call_indirect $t (type $unary) (i32.sub (local.get 0) (i32.const 1)) (i32.const 1))) (else (i32.const 1))))
  (func (export "recursion_indirect") (type $unary) (local $s i32)
    (loop $l (local.set $s (i32.add (local.get $s) (call $even_indirect (i32.add (i32.const 900) (i32.and (local.get 0) (i32.const 3))))))
      (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 901))) (i32.const 0))))
    (local.get $s))

  ;; One half goes by the table, the other does not.
  (func $mutual_a_indirect (type $unary)
    (if (result i32) (local.get 0)
      (then (call $mutual_b (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 5))))
  (func $mutual_b (type $unary)
    (if (result i32) (local.get 0)
      (then (call_indirect $t (type $unary) (i32.sub (local.get 0) (i32.const 1)) (i32.const 2))) (else (i32.const 6))))
  (func (export "mutual_indirect") (type $unary) (local $s i32)
    (loop $l (local.set $s (i32.add (local.get $s) (call $mutual_b (i32.add (i32.const 900) (i32.and (local.get 0) (i32.const 3))))))
      (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 901))) (i32.const 0))))
    (local.get $s))

  (func $tail (param i32 i32) (result i32)
    (if (local.get 0) (then (return_call $tail2 (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (i32.const 3)))))
    (local.get 1))
  (func $tail2 (param i32 i32) (result i32) (return_call $tail (local.get 0) (i32.xor (local.get 1) (i32.const 1))))
  (func (export "tail") (type $unary) (return_call $tail (local.get 0) (i32.const 0)))

  (table $tails 1 funcref)
  (elem (table $tails) (i32.const 0) func $tail_indirect)
  (func $tail_indirect (param i32 i32) (result i32)
    (if (local.get 0) (then
      (return_call_indirect $tails (param i32 i32) (result i32)
        (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (i32.const 3)) (i32.const 0))))
    (local.get 1))
  (func (export "tail_indirect") (type $unary) (return_call $tail_indirect (local.get 0) (i32.const 0)))

  ;; No loop and no recursion, and yet without end.
  (func $f0 (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $f1 (param i32) (result i32) (call $f0 (call $f0 (call $f0 (call $f0 (local.get 0))))))
  (func $f2 (param i32) (result i32) (call $f1 (call $f1 (call $f1 (call $f1 (local.get 0))))))
  (func $f3 (param i32) (result i32) (call $f2 (call $f2 (call $f2 (call $f2 (local.get 0))))))
  (func $f4 (param i32) (result i32) (call $f3 (call $f3 (call $f3 (call $f3 (local.get 0))))))
  (func $f5 (param i32) (result i32) (call $f4 (call $f4 (call $f4 (call $f4 (local.get 0))))))
  (func $f6 (param i32) (result i32) (call $f5 (call $f5 (call $f5 (call $f5 (local.get 0))))))
  (func (export "tree") (type $unary) (local $s i32)
    (loop $l (local.set $s (i32.add (local.get $s) (call $f6 (local.get 0))))
      (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 5000))) (i32.const 0))))
    (local.get $s))

  ;; Bulk operations, long ones and short ones.
  (func (export "fill") (type $unary)
    (loop $l
      (memory.fill (i32.const 1000) (local.get 0) (i32.const 200001))
      (memory.fill (i32.const 5) (i32.const 9) (i32.const 3))
      (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 100))) (i32.const 0))))
    (i32.load (i32.const 5000)))
  (func (export "copy_up") (type $unary) (memory.copy (i32.const 1003) (i32.const 3) (i32.const 230000)) (call $hash))
  (func (export "copy_down") (type $unary) (memory.copy (i32.const 3) (i32.const 1003) (i32.const 230000)) (call $hash))
  (func (export "copies") (type $unary)
    (loop $l
      (memory.copy (i32.const 70001) (i32.const 1) (i32.const 150000))
      (memory.copy (i32.const 1) (i32.const 70001) (i32.const 150000))
      (memory.copy (i32.const 1) (i32.const 1) (i32.const 262143))
      (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 100))) (i32.const 0))))
    (i32.load (i32.const 5000)))
  (func $hash (result i32) (local $i i32) (local $h i32)
    (loop $l
      (local.set $h (i32.add (i32.mul (local.get $h) (i32.const 16777619)) (i32.load8_u (local.get $i))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 262144))))
    (local.get $h))
  (func (export "scramble") (type $unary) (local $i i32)
    (loop $l
      (i32.store (local.get $i) (i32.mul (i32.add (local.get $i) (local.get 0)) (i32.const 0x9e3779b1)))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 262140))))
    (call $hash))
  (func (export "segments") (type $unary)
    (memory.init $bytes (i32.const 40) (i32.const 2) (i32.const 9))
    (table.init $t $passive (i32.const 4) (i32.const 1) (i32.const 3))
    (table.copy $t $t (i32.const 5) (i32.const 4) (i32.const 3))
    (i32.load (i32.const 44)))
  (func (export "table_fill") (type $unary)
    (drop (table.grow $big (ref.null extern) (i32.const 99999)))
    (loop $l
      (table.fill $big (i32.const 0) (ref.null extern) (table.size $big))
      (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 100))) (i32.const 0))))
    (table.size $big))
  (func (export "grow") (type $unary) (local $s i32)
    (loop $l
      (local.set $s (i32.add (local.get $s) (memory.grow (i32.const 1))))
      (local.set $s (i32.add (local.get $s) (memory.grow (i32.const 0x10000))))
      (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 10))) (i32.const 0))))
    (local.get $s))

  ;; Traps must be the same ones, and leave the same memory.
  (func (export "fill_trap") (type $unary) (memory.fill (i32.const 70000) (i32.const 1) (i32.const 0x7fffffff)) (i32.const 0))
  (func (export "fill_wrap") (type $unary) (memory.fill (i32.const 70000) (i32.const 1) (i32.const -1)) (i32.const 0))
  (func (export "copy_trap") (type $unary) (memory.copy (i32.const 0) (i32.const 1000) (i32.const 4194304)) (i32.const 0))
  (func (export "init_trap") (type $unary) (memory.init $bytes (i32.const 0) (i32.const 0) (i32.const 0x10000)) (i32.const 0))
  (func (export "table_trap") (type $unary) (table.fill $big (i32.const 1) (ref.null extern) (i32.const -1)) (i32.const 0))
  (func (export "divide_trap") (type $unary) (i32.div_u (local.get 0) (i32.const 0)))
  (func (export "unreachable_trap") (type $unary) (unreachable))

  ;; What follows a branch can have any type.
  (func (export "dead") (type $unary)
    (block $b (result i32)
      (loop $l
        (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
        (br $b (i32.const 4))
        (br_if $l)
        (drop (call $leaf))
        (memory.fill)
        (drop (memory.grow))
        (loop $m (param i32) (br_if $m (i32.const 1)) (br_table $l $l))
        (if (then (br $l)) (else (drop (call $plus (i32.const 1)))))
        (br_table $l $l))
      (unreachable)))

  (func (export "refs") (type $unary) (local $f funcref)
    (local.set $f (ref.func $declared))
    (table.set $t (i32.const 7) (local.get $f))
    (i32.add (i32.const 1) (i32.add (global.get $state)
      (call_indirect $t (type $unary) (local.get 0) (i32.const 7)))))

  (func (export "vectors") (type $unary) (local $v v128)
    (loop $l
      (local.set $v (i32x4.add (i8x16.swizzle (local.get $v) (i32x4.splat (local.get 0))) (v128.const i32x4 1 2 3 4)))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32x4.extract_lane 2 (local.get $v)))

  (func (export "memory_hash") (type $unary) (call $hash))
)
