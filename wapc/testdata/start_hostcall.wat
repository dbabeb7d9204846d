;; Makes a host call while it starts, and answers with the text of the error.
(module
  (import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32) (result i32)))
  (import "wapc" "__host_error_len" (func $host_error_len (result i32)))
  (import "wapc" "__host_error" (func $host_error (param i32)))
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "_initialize")
    (if (call $host_call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (then unreachable))
    (i32.store (i32.const 0) (call $host_error_len))
    (call $host_error (i32.const 8)))
  (func (export "__guest_call") (param i32 i32) (result i32)
    (call $response (i32.const 8) (i32.load (i32.const 0)))
    (i32.const 1)))
