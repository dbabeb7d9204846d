;; Answers with its request. An operation whose first byte is "h" makes a host
;; call with the request before, and answers with the host's response.
(module
  (type $two (func (param i32 i32)))
  (import "wapc" "__guest_request" (func $guest_request (type $two)))
  (import "wapc" "__guest_response" (func $guest_response (type $two)))
  (import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wapc" "__host_response_len" (func $host_response_len (result i32)))
  (import "wapc" "__host_response" (func $host_response (param i32)))
  (memory (export "memory") 20)
  (data (i32.const 16) "defaulttestecho")
  (func (export "__guest_call") (param $op i32) (param $len i32) (result i32)
    (call $guest_request (i32.const 1024) (i32.const 4096))
    (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 104))
      (then
        (if (i32.eqz (call $host_call
              (i32.const 16) (i32.const 7) (i32.const 23) (i32.const 4) (i32.const 27) (i32.const 4)
              (i32.const 4096) (local.get $len)))
          (then (return (i32.const 0))))
        (local.set $len (call $host_response_len))
        (call $host_response (i32.const 4096))))
    (call $guest_response (i32.const 4096) (local.get $len))
    (i32.const 1)))
