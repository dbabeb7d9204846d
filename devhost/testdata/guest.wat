;; A guest for the tests of the host. What it does with a request is told by
;; the request's first byte:
;;
;;   (empty)  health: succeeds, unless the byte at 32 is no W
;;   v        answers the eight bytes at 16: the version
;;   e        reports the rest of the request as its error
;;   c        performs a host call: length and text of the namespace, length
;;            and text of the operation, then the payload; answers what it got,
;;            reports an error that says "call: " and the host's text
;;   t        traps
;;   l        loops for ever
;;   m        asks for memory until there is none, then traps
;;   p        prints the rest of the request
(module
  (import "wapc" "__guest_request" (func $guest_request (param i32 i32)))
  (import "wapc" "__guest_response" (func $guest_response (param i32 i32)))
  (import "wapc" "__guest_error" (func $guest_error (param i32 i32)))
  (import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wapc" "__host_response_len" (func $host_response_len (result i32)))
  (import "wapc" "__host_response" (func $host_response (param i32)))
  (import "wapc" "__host_error_len" (func $host_error_len (result i32)))
  (import "wapc" "__host_error" (func $host_error (param i32)))
  (import "wapc" "__console_log" (func $console_log (param i32 i32)))
  (memory (export "memory") 4)
  (data (i32.const 16) "VERSION0")
  (data (i32.const 32) "WELL")
  (data (i32.const 40) "unwell")
  (data (i32.const 131072) "call: ")

  (func $crash unreachable)

  (func $call (param $len i32) (result i32)
    (local $ns i32) (local $op i32) (local $body i32)
    (local.set $ns (i32.const 4098))
    (local.set $op (i32.add (i32.add (local.get $ns) (i32.load8_u (i32.const 4097))) (i32.const 1)))
    (local.set $body (i32.add (local.get $op) (i32.load8_u (i32.sub (local.get $op) (i32.const 1)))))
    (if (call $host_call
          (i32.const 0) (i32.const 0)
          (local.get $ns) (i32.load8_u (i32.const 4097))
          (local.get $op) (i32.load8_u (i32.sub (local.get $op) (i32.const 1)))
          (local.get $body) (i32.sub (i32.add (i32.const 4096) (local.get $len)) (local.get $body)))
      (then
        (call $host_response (i32.const 131078))
        (call $guest_response (i32.const 131078) (call $host_response_len))
        (return (i32.const 1))))
    (call $host_error (i32.const 131078))
    (call $guest_error (i32.const 131072) (i32.add (call $host_error_len) (i32.const 6)))
    (i32.const 0))

  (func (export "__guest_call") (param $op_len i32) (param $len i32) (result i32)
    (local $what i32)
    (call $guest_request (i32.const 1024) (i32.const 4096))
    (if (i32.eqz (local.get $len))
      (then
        (if (i32.ne (i32.load8_u (i32.const 32)) (i32.const 0x57))
          (then
            (call $guest_error (i32.const 40) (i32.const 6))
            (return (i32.const 0))))
        (return (i32.const 1))))
    (local.set $what (i32.load8_u (i32.const 4096)))
    (if (i32.eq (local.get $what) (i32.const 0x76)) ;; v
      (then (call $guest_response (i32.const 16) (i32.const 8)) (return (i32.const 1))))
    (if (i32.eq (local.get $what) (i32.const 0x65)) ;; e
      (then
        (call $guest_error (i32.const 4097) (i32.sub (local.get $len) (i32.const 1)))
        (return (i32.const 0))))
    (if (i32.eq (local.get $what) (i32.const 0x63)) ;; c
      (then (return (call $call (local.get $len)))))
    (if (i32.eq (local.get $what) (i32.const 0x70)) ;; p
      (then
        (call $console_log (i32.const 4097) (i32.sub (local.get $len) (i32.const 1)))
        (return (i32.const 1))))
    (if (i32.eq (local.get $what) (i32.const 0x74)) ;; t
      (then (call $crash)))
    (if (i32.eq (local.get $what) (i32.const 0x6d)) ;; m
      (then (loop $grow (br_if $grow (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (call $crash)))
    (if (i32.eq (local.get $what) (i32.const 0x6c)) ;; l
      (then (loop $ever (br $ever))))
    (i32.const 1)))
