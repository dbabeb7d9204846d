;; A guest that uses every construct of the binary format in which a function
;; index appears, with imports that are sealed away standing before, between
;; and behind one that stays. indices.wasm is made of it by
;;
;;   wat2wasm --debug-names --enable-tail-call --enable-extended-const indices.wat
;;
;; Each export check_N returns a number that it only returns if the indices
;; that it goes through lead where they should.
(module
  (type $result (func (result i32)))
  (type $pair (func (param i32 i32) (result i32)))

  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (type $result)))
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (type $pair)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield_again (type $result)))

  (memory (export "memory") 1)
  (table $t0 16 funcref)
  (table $t1 16 funcref)

  (global $ref_import (mut funcref) (ref.func $yield))
  (global $ref_local funcref (ref.func $f7))
  (global $started (mut i32) (i32.const 0))

  (elem (i32.const 0) func $yield $f0)                                  ;; form 0
  (elem $passive func $f1 $prestat)                                     ;; form 1
  (elem (table $t1) (i32.sub (i32.const 5) (i32.const 3)) func $f2 $prestat) ;; form 2
  (elem declare func $f3 $yield_again)                                  ;; form 3
  (elem (i32.const 4) funcref (ref.func $f4) (ref.null func))           ;; form 4
  (elem $exprs funcref (ref.func $f5) (ref.null func) (ref.func $yield));; form 5
  (elem (table $t1) (i32.const 8) funcref (ref.func $prestat) (ref.null func)) ;; form 6
  (elem declare funcref (ref.func $f6) (ref.null func))                 ;; form 7

  (func $f0 (result i32) i32.const 100)
  (func $f1 (result i32) i32.const 101)
  (func $f2 (result i32) i32.const 102)
  (func $f3 (result i32) i32.const 103)
  (func $f4 (result i32) i32.const 104)
  (func $f5 (result i32) i32.const 105)
  (func $f6 (result i32) i32.const 106)
  (func $f7 (result i32) i32.const 107)

  ;; Writes "started\n", which the data segments at 1032 and 1037 make up.
  (func $start
    (memory.init $rest (i32.const 1037) (i32.const 0) (i32.const 3))
    (i32.store (i32.const 1024) (i32.const 1032))
    (i32.store (i32.const 1028) (i32.const 8))
    (call $write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 1048))
    drop
    (global.set $started (i32.load (i32.const 1048))))
  (start $start)
  (data (i32.add (i32.const 1000) (i32.const 32)) "start")
  (data $rest "ed\n")

  (func $guest_call (export "__guest_call") (param $operation i32) (param $message i32) (result i32)
    (call $response (local.get $operation) (local.get $message))
    i32.const 1)

  ;; form 0, imported and defined
  (func (export "check_0") (result i32)
    (i32.add (call_indirect $t0 (type $result) (i32.const 0))
             (call_indirect $t0 (type $result) (i32.const 1))))
  ;; form 1, through table.init
  (func (export "check_1") (result i32)
    (table.init $t0 $passive (i32.const 8) (i32.const 0) (i32.const 2))
    (i32.add (call_indirect $t0 (type $result) (i32.const 8))
             (call_indirect $t0 (type $pair) (i32.const 77) (i32.const 2048) (i32.const 9))))
  ;; form 2, at a computed offset
  (func (export "check_2") (result i32)
    (i32.add (call_indirect $t1 (type $result) (i32.const 2))
             (call_indirect $t1 (type $pair) (i32.const 77) (i32.const 2048) (i32.const 3))))
  ;; form 3 declares what ref.func takes
  (func (export "check_3") (result i32)
    (table.set $t0 (i32.const 10) (ref.func $f3))
    (table.set $t0 (i32.const 11) (ref.func $yield_again))
    (i32.sub (call_indirect $t0 (type $result) (i32.const 10))
             (call_indirect $t0 (type $result) (i32.const 11))))
  ;; form 4 and its null
  (func (export "check_4") (result i32)
    (i32.add (call_indirect $t0 (type $result) (i32.const 4))
             (ref.is_null (table.get $t0 (i32.const 5)))))
  ;; form 5
  (func (export "check_5") (result i32)
    (table.init $t1 $exprs (i32.const 12) (i32.const 0) (i32.const 3))
    (elem.drop $exprs)
    (i32.add (call_indirect $t1 (type $result) (i32.const 12))
             (call_indirect $t1 (type $result) (i32.const 14))))
  ;; form 6
  (func (export "check_6") (result i32)
    (call_indirect $t1 (type $pair) (i32.const 77) (i32.const 2048) (i32.const 8)))
  ;; form 7 and a tail call through a table
  (func (export "check_7") (result i32)
    (table.set $t0 (i32.const 12) (ref.func $f6))
    (return_call_indirect $t0 (type $result) (i32.const 12)))
  ;; globals that hold references
  (func (export "check_8") (result i32)
    (table.set $t0 (i32.const 13) (global.get $ref_import))
    (table.set $t0 (i32.const 14) (global.get $ref_local))
    (i32.add (call_indirect $t0 (type $result) (i32.const 13))
             (call_indirect $t0 (type $result) (i32.const 14))))
  ;; direct calls and tail calls, to imported and defined functions
  (func $tail_import (result i32) (return_call $yield))
  (func $tail_local (result i32) (return_call $f2))
  (func (export "check_9") (result i32)
    (i32.add (i32.add (call $tail_import) (call $tail_local))
             (i32.add (call $prestat (i32.const 77) (i32.const 2048)) (call $f0))))
  ;; what the start function left behind
  (func (export "check_10") (result i32) (global.get $started))
  ;; immediates of many kinds around a call that moves
  (func (export "check_11") (result i32) (local $i i32) (local $v v128)
    (memory.init $rest (i32.const 1037) (i32.const 0) (i32.const 3))
    (memory.copy (i32.const 3000) (i32.const 1032) (i32.const 8))
    (memory.fill (i32.const 3008) (i32.const 1) (i32.const 8))
    (local.set $v (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31
      (v128.load (i32.const 3000)) (v128.const i32x4 0x10101010 0x10101010 0x10101010 0x10101010)))
    (local.set $v (v128.load8_lane offset=16 3 (i32.const 3000) (local.get $v)))
    (block $out (block $in
      (br_table $in $out $in (i32.trunc_sat_f64_s (f64.const 1.5)))))
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 0x10)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 0x1000))))
    (select (result i32) (call $f7) (call $yield) (i64.ne (i64.const -9223372036854775808) (i64.const 0)))
    (i8x16.extract_lane_u 15 (local.get $v))
    (f32.ne (f32.const 0x1.10101p+4) (f32.const nan))
    i32.add
    i32.add
    (return (i32.add (call $yield))))

  (func (export "refill") (param i32) (result i32)
    (memory.init $rest (i32.const 1037) (i32.const 0) (i32.const 3))
    (call $write (local.get 0) (i32.const 1024) (i32.const 1) (i32.const 1048)))
  (export "yield" (func $yield_again))
  (export "write" (func $write)))
