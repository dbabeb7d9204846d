;; Crashes in wapc_init, after a line of log.
(module
  (import "wapc" "__console_log" (func $log (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "last words")
  (func $crash unreachable)
  (func (export "wapc_init") (call $log (i32.const 0) (i32.const 10)) (call $crash))
  (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))
