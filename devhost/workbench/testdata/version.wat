;; A guest that answers every operation with the eight bytes of its version, as
;; the body of an HTTP response with status 200.
(module
  (import "wapc" "__guest_request" (func $guest_request (param i32 i32)))
  (import "wapc" "__guest_response" (func $guest_response (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\08\c8\01\22\08VERSION0")
  (func (export "__guest_call") (param i32 i32) (result i32)
    (call $guest_response (i32.const 16) (i32.const 13))
    (i32.const 1)))
