;; Asks for a request while it starts: there is none.
(module
  (import "wapc" "__guest_request" (func $request (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $request (i32.const 0) (i32.const 0)))
  (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))
