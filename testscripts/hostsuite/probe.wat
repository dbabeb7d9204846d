;; What most probe guests begin with. Their own text comes behind this one, and has
;; the function $handle, which handles an HTTP request and returns what
;; __guest_call shall.
;;
;; Memory: the guest's own data from 0 on; the operation at 0x8000; the HTTP
;; request at 0x10000, as it came; room for what is written behind it.
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
(global $operation_len (mut i32) (i32.const 0))
(global $request_len (mut i32) (i32.const 0))
(global $path_len (mut i32) (i32.const 0))
(global $body_len (mut i32) (i32.const 0))
(global $free (mut i32) (i32.const 0x10000))

(func (export "__guest_call") (param $operation_len i32) (param $request_len i32) (result i32)
  (global.set $operation_len (local.get $operation_len))
  (global.set $request_len (local.get $request_len))
  (global.set $free (i32.const 0x10000))
  (call $guest_request (i32.const 0x8000) (call $room (local.get $request_len)))
  ;; wascap:httpsrv!HealthRequest, not wascap:httpserver!HandleRequest
  (if (i32.eq (i32.load8_u (i32.const 0x800c)) (i32.const 0x72)) (then (return (call $ok))))
  (call $handle))

;; $ok answers with status 200 and nothing else.
(func $ok (result i32) (call $say (i32.const 0) (i32.const 0)))

;; $room finds room, and grows the memory where there is none.
(func $room (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (global.get $free))
  (global.set $free (i32.and (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 15)) (i32.const -16)))
  (if (i32.gt_u (global.get $free) (i32.shl (memory.size) (i32.const 16)))
    (then (if (i32.eq (i32.const -1) (memory.grow (i32.add (i32.const 1) (i32.shr_u (i32.sub (global.get $free) (i32.shl (memory.size) (i32.const 16))) (i32.const 16)))))
      (then (unreachable)))))
  (local.get $at))

;; $say answers with status 200 and a body.
(func $say (param $at i32) (param $len i32) (result i32)
  (call $say_status (i32.const 200) (local.get $at) (local.get $len)))

;; $say_status answers with a status and a body: an http.Response.
(func $say_status (param $status i32) (param $at i32) (param $len i32) (result i32)
  (local $begin i32) (local $to i32)
  (local.set $begin (call $room (i32.add (local.get $len) (i32.const 16))))
  (i32.store8 (local.get $begin) (i32.const 0x08)) ;; 1 status_code
  (local.set $to (call $varint (i32.add (local.get $begin) (i32.const 1)) (local.get $status)))
  (i32.store8 (local.get $to) (i32.const 0x22)) ;; 4 body
  (local.set $to (call $varint (i32.add (local.get $to) (i32.const 1)) (local.get $len)))
  (memory.copy (local.get $to) (local.get $at) (local.get $len))
  (call $guest_response (local.get $begin) (i32.sub (i32.add (local.get $to) (local.get $len)) (local.get $begin)))
  (i32.const 1))

;; $varint writes a number, and returns where it ends.
(func $varint (param $at i32) (param $v i32) (result i32)
  (loop $more
    (if (i32.ge_u (local.get $v) (i32.const 0x80))
      (then
        (i32.store8 (local.get $at) (i32.or (local.get $v) (i32.const 0x80)))
        (local.set $v (i32.shr_u (local.get $v) (i32.const 7)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $more))))
  (i32.store8 (local.get $at) (local.get $v))
  (i32.add (local.get $at) (i32.const 1)))

;; $say_number answers with a number in decimal digits.
(func $say_number (param $v i32) (result i32)
  (local $end i32) (local $at i32)
  (local.set $end (i32.add (call $room (i32.const 16)) (i32.const 16)))
  (local.set $at (local.get $end))
  (loop $more
    (local.set $at (i32.sub (local.get $at) (i32.const 1)))
    (i32.store8 (local.get $at) (i32.add (i32.const 0x30) (i32.rem_u (local.get $v) (i32.const 10))))
    (local.set $v (i32.div_u (local.get $v) (i32.const 10)))
    (br_if $more (local.get $v)))
  (call $say (local.get $at) (i32.sub (local.get $end) (local.get $at))))

;; $say_bool answers with 0 for 0 and with 1 for any other number.
(func $say_bool (param $v i32) (result i32) (call $say_number (i32.ne (local.get $v) (i32.const 0))))

;; $fail reports an error.
(func $fail (param $at i32) (param $len i32) (result i32)
  (call $guest_error (local.get $at) (local.get $len))
  (i32.const 0))

;; $field finds a field of the request that has bytes; $found_len is how many, and 0
;; where there is none.
(global $found_len (mut i32) (i32.const 0))
(func $field (param $number i32) (result i32)
  (local $at i32) (local $end i32) (local $tag i32)
  (local.set $at (i32.const 0x10000))
  (local.set $end (i32.add (local.get $at) (global.get $request_len)))
  (global.set $found_len (i32.const 0))
  (block $done
    (loop $more
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $tag (i32.load8_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      ;; every field of http.Request has bytes
      (global.set $found_len (call $length (local.get $at)))
      (local.set $at (global.get $length_end))
      (br_if $done (i32.eq (i32.shr_u (local.get $tag) (i32.const 3)) (local.get $number)))
      (local.set $at (i32.add (local.get $at) (global.get $found_len)))
      (global.set $found_len (i32.const 0))
      (br $more)))
  (local.get $at))

;; $length reads a number; $length_end is where it ends.
(global $length_end (mut i32) (i32.const 0))
(func $length (param $at i32) (result i32)
  (local $v i32) (local $shift i32) (local $b i32)
  (loop $more
    (local.set $b (i32.load8_u (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (local.set $v (i32.or (local.get $v) (i32.shl (i32.and (local.get $b) (i32.const 0x7f)) (local.get $shift))))
    (local.set $shift (i32.add (local.get $shift) (i32.const 7)))
    (br_if $more (i32.ge_u (local.get $b) (i32.const 0x80))))
  (global.set $length_end (local.get $at))
  (local.get $v))

;; $path and $body find those; $path_len and $body_len are their lengths.
(func $path (result i32)
  (local $at i32)
  (local.set $at (call $field (i32.const 2)))
  (global.set $path_len (global.get $found_len))
  (local.get $at))
(func $body (result i32)
  (local $at i32)
  (local.set $at (call $field (i32.const 5)))
  (global.set $body_len (global.get $found_len))
  (local.get $at))

;; $letter is the path's first letter, behind the slash; 0 where there is none.
(func $letter (result i32)
  (local $at i32)
  (local.set $at (call $path))
  (if (i32.lt_u (global.get $path_len) (i32.const 2)) (then (return (i32.const 0))))
  (i32.load8_u (i32.add (local.get $at) (i32.const 1))))

;; $host calls the key-value store under the usual binding.
(data (i32.const 0x7f00) "defaultwascap:keyvalue")
(func $host (param $operation i32) (param $operation_len i32) (param $payload i32) (param $payload_len i32) (result i32)
  (call $host_call (i32.const 0x7f00) (i32.const 7) (i32.const 0x7f07) (i32.const 15)
    (local.get $operation) (local.get $operation_len) (local.get $payload) (local.get $payload_len)))

;; $say_answer answers with the response of the last host call, and $say_host_error
;; with its error's text.
(func $say_answer (result i32)
  (local $at i32)
  (local.set $at (call $room (call $host_response_len)))
  (call $host_response (local.get $at))
  (call $say (local.get $at) (call $host_response_len)))
(func $say_host_error (result i32)
  (local $at i32)
  (local.set $at (call $room (call $host_error_len)))
  (call $host_error (local.get $at))
  (call $say (local.get $at) (call $host_error_len)))

