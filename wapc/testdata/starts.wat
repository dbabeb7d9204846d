;; Logs one letter for the start section and each start function.
(module
  (import "wapc" "__console_log" (func $log (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "swic")
  (func $section (call $log (i32.const 0) (i32.const 1)))
  (start $section)
  (func (export "wapc_init") (call $log (i32.const 1) (i32.const 1)))
  (func (export "_initialize") (call $log (i32.const 2) (i32.const 1)))
  (func (export "_start") (call $log (i32.const 3) (i32.const 1)))
  (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))
