;; Makes host calls without end, unless it is given a payload.
(module
  (import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "op")
  (func (export "__guest_call") (param i32 i32) (result i32)
    (block $done
      (loop $again
        (br_if $done (local.get 1))
        (drop (call $host_call
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 0) (i32.const 0)))
        (br $again)))
    (i32.const 1)))
