;; A guest that keeps to every rule. Those in the folder broken are this one with a
;; few lines changed.
;;
;; It claims wascap:http_server, keyvalue, logging and messaging. A request is
;; answered with what it consists of, and with what the store says; a message with a
;; copy of its body. Everything that a call needs lies behind the texts, and is
;; given up with the next call.
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

  (memory (export "memory") 2)

  (data (i32.const 16) "wascap:httpsrv!HealthRequest")
  (data (i32.const 64) "wascap:httpserver!HandleRequest")
  (data (i32.const 112) "wascap:messaging!DeliverMessage")
  (data (i32.const 160) "default")
  (data (i32.const 176) "wascap:keyvalue")
  (data (i32.const 208) "wascap:keyvalue!Get")
  (data (i32.const 240) "wascap:keyvalue!Add")
  (data (i32.const 272) "wascap:logging")
  (data (i32.const 304) "wascap:logging!WriteLog")
  (data (i32.const 336) "wascap:messaging")
  (data (i32.const 368) "wascap:messaging!Publish")
  (data (i32.const 400) "GET")
  (data (i32.const 416) "POST")
  (data (i32.const 432) "DELETE")
  (data (i32.const 448) "Accept")
  (data (i32.const 464) "hits")
  (data (i32.const 480) "Content-Type")
  (data (i32.const 496) "text/plain")
  (data (i32.const 512) "unsupported: this guest does not know ")
  (data (i32.const 560) "invalid: the payload cannot be decoded")
  (data (i32.const 608) "invalid: the answer of the host cannot be decoded")
  (data (i32.const 672) "hello")

  ;; Memory.

  (global $heap (mut i32) (i32.const 4096))

  (func $alloc (param $size i32) (result i32)
    (local $at i32) (local $missing i32)
    (local.set $at (global.get $heap))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (local.set $missing (i32.sub
      (i32.shr_u (i32.add (global.get $heap) (i32.const 65535)) (i32.const 16))
      (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then (unreachable)))))
    (local.get $at))

  (func $equal (param $a i32) (param $a_len i32) (param $b i32) (param $b_len i32) (result i32)
    (if (i32.ne (local.get $a_len) (local.get $b_len)) (then (return (i32.const 0))))
    (loop $next
      (if (i32.eqz (local.get $a_len)) (then (return (i32.const 1))))
      (local.set $a_len (i32.sub (local.get $a_len) (i32.const 1)))
      (br_if $next (i32.eq
        (i32.load8_u (i32.add (local.get $a) (local.get $a_len)))
        (i32.load8_u (i32.add (local.get $b) (local.get $a_len))))))
    (i32.const 0))

  ;; Reading messages: from $in to $end.

  (global $in (mut i32) (i32.const 0))
  (global $end (mut i32) (i32.const 0))
  (global $bad (mut i32) (i32.const 0)) ;; what was read is no message
  (global $number (mut i32) (i32.const 0)) ;; of the field that was read
  (global $type (mut i32) (i32.const 0))
  (global $value (mut i64) (i64.const 0)) ;; of a varint
  (global $ptr (mut i32) (i32.const 0)) ;; of what has a length
  (global $len (mut i32) (i32.const 0))

  (func $fault (result i32)
    (global.set $bad (i32.const 1))
    (i32.const 0))

  (func $read (param $from i32) (param $size i32)
    (global.set $in (local.get $from))
    (global.set $end (i32.add (local.get $from) (local.get $size))))

  (func $varint (result i64)
    (local $v i64) (local $shift i64) (local $byte i64)
    (loop $more
      (if (i32.ge_u (global.get $in) (global.get $end))
        (then (drop (call $fault)) (return (i64.const 0))))
      (local.set $byte (i64.load8_u (global.get $in)))
      (global.set $in (i32.add (global.get $in) (i32.const 1)))
      (if (i64.ge_u (local.get $shift) (i64.const 70)) ;; eleven bytes
        (then (drop (call $fault)) (return (i64.const 0))))
      (if (i32.and (i64.eq (local.get $shift) (i64.const 63))
            (i64.gt_u (i64.and (local.get $byte) (i64.const 127)) (i64.const 1))) ;; 65 bits
        (then (drop (call $fault)) (return (i64.const 0))))
      (local.set $v (i64.or (local.get $v) (i64.shl (i64.and (local.get $byte) (i64.const 127)) (local.get $shift))))
      (local.set $shift (i64.add (local.get $shift) (i64.const 7)))
      (br_if $more (i64.ge_u (local.get $byte) (i64.const 128))))
    (local.get $v))

  (func $tag (result i32)
    (local $v i64)
    (local.set $v (call $varint))
    (if (i64.gt_u (local.get $v) (i64.const 0xffffffff)) (then (return (call $fault))))
    (global.set $number (i32.wrap_i64 (i64.shr_u (local.get $v) (i64.const 3))))
    (global.set $type (i32.wrap_i64 (i64.and (local.get $v) (i64.const 7))))
    (if (i32.eqz (global.get $number)) (then (return (call $fault))))
    (if (i32.gt_u (global.get $type) (i32.const 5)) (then (return (call $fault))))
    (i32.eqz (global.get $bad)))

  (func $skip (param $size i64) (result i32)
    (if (i64.gt_u (local.get $size) (i64.extend_i32_u (i32.sub (global.get $end) (global.get $in))))
      (then (return (call $fault))))
    (global.set $in (i32.add (global.get $in) (i32.wrap_i64 (local.get $size))))
    (i32.const 1))

  ;; Reads what follows a tag.
  (func $content (param $depth i32) (result i32)
    (local $size i64)
    (if (i32.eq (global.get $type) (i32.const 0))
      (then
        (global.set $value (call $varint))
        (return (i32.eqz (global.get $bad)))))
    (if (i32.eq (global.get $type) (i32.const 1)) (then (return (call $skip (i64.const 8)))))
    (if (i32.eq (global.get $type) (i32.const 5)) (then (return (call $skip (i64.const 4)))))
    (if (i32.eq (global.get $type) (i32.const 2))
      (then
        (local.set $size (call $varint))
        (if (global.get $bad) (then (return (i32.const 0))))
        (global.set $ptr (global.get $in))
        (global.set $len (i32.wrap_i64 (local.get $size)))
        (return (call $skip (local.get $size)))))
    (if (i32.eq (global.get $type) (i32.const 3)) (then (return (call $group (global.get $number) (local.get $depth)))))
    (call $fault)) ;; the end of a group

  (func $group (param $of i32) (param $depth i32) (result i32)
    (if (i32.ge_u (local.get $depth) (i32.const 100)) (then (return (call $fault))))
    (loop $more
      (if (i32.eqz (call $tag)) (then (return (i32.const 0))))
      (if (i32.eq (global.get $type) (i32.const 4))
        (then
          (if (i32.ne (global.get $number) (local.get $of)) (then (return (call $fault))))
          (global.set $number (local.get $of))
          (global.set $type (i32.const 3))
          (return (i32.const 1))))
      (if (i32.eqz (call $content (i32.add (local.get $depth) (i32.const 1)))) (then (return (i32.const 0))))
      (br $more))
    (unreachable))

  ;; Reads the next field: 1, or 0 where there is none.
  (func $next (result i32)
    (if (global.get $bad) (then (return (i32.const 0))))
    (if (i32.eq (global.get $in) (global.get $end)) (then (return (i32.const 0))))
    (if (i32.eqz (call $tag)) (then (return (i32.const 0))))
    (call $content (i32.const 0)))

  ;; Tells whether the field that was read is a text, or bytes, of a number.
  (func $is (param $number i32) (result i32)
    (i32.and (i32.eq (global.get $number) (local.get $number)) (i32.eq (global.get $type) (i32.const 2))))

  (func $is_text (param $number i32) (result i32)
    (if (i32.eqz (call $is (local.get $number))) (then (return (i32.const 0))))
    (if (call $utf8 (global.get $ptr) (global.get $len)) (then (return (i32.const 1))))
    (call $fault))

  (func $follows (param $at i32) (param $low i32) (param $high i32) (result i32)
    (local $byte i32)
    (local.set $byte (i32.load8_u (local.get $at)))
    (i32.and (i32.ge_u (local.get $byte) (local.get $low)) (i32.le_u (local.get $byte) (local.get $high))))

  (func $utf8 (param $at i32) (param $size i32) (result i32)
    (local $to i32) (local $byte i32) (local $n i32) (local $low i32) (local $high i32)
    (local.set $to (i32.add (local.get $at) (local.get $size)))
    (loop $more
      (if (i32.ge_u (local.get $at) (local.get $to)) (then (return (i32.const 1))))
      (local.set $byte (i32.load8_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $byte) (i32.const 0x80)))
      (if (i32.or (i32.lt_u (local.get $byte) (i32.const 0xc2)) (i32.gt_u (local.get $byte) (i32.const 0xf4)))
        (then (return (i32.const 0))))
      (local.set $n (i32.add (i32.const 1) (i32.add
        (i32.ge_u (local.get $byte) (i32.const 0xe0)) (i32.ge_u (local.get $byte) (i32.const 0xf0)))))
      (if (i32.gt_u (local.get $n) (i32.sub (local.get $to) (local.get $at))) (then (return (i32.const 0))))
      (local.set $low (select (i32.const 0xa0) (i32.const 0x80) (i32.eq (local.get $byte) (i32.const 0xe0))))
      (local.set $low (select (i32.const 0x90) (local.get $low) (i32.eq (local.get $byte) (i32.const 0xf0))))
      (local.set $high (select (i32.const 0x9f) (i32.const 0xbf) (i32.eq (local.get $byte) (i32.const 0xed))))
      (local.set $high (select (i32.const 0x8f) (local.get $high) (i32.eq (local.get $byte) (i32.const 0xf4))))
      (loop $rest
        (if (i32.eqz (call $follows (local.get $at) (local.get $low) (local.get $high))) (then (return (i32.const 0))))
        (local.set $low (i32.const 0x80))
        (local.set $high (i32.const 0xbf))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $rest (local.get $n)))
      (br $more))
    (unreachable))

  ;; Writing messages: at $out.

  (global $out (mut i32) (i32.const 0))

  (func $put (param $byte i32)
    (i32.store8 (global.get $out) (local.get $byte))
    (global.set $out (i32.add (global.get $out) (i32.const 1))))

  (func $put_varint (param $v i64)
    (loop $more
      (if (i64.lt_u (local.get $v) (i64.const 128))
        (then (call $put (i32.wrap_i64 (local.get $v))) (return)))
      (call $put (i32.or (i32.wrap_i64 (i64.and (local.get $v) (i64.const 127))) (i32.const 128)))
      (local.set $v (i64.shr_u (local.get $v) (i64.const 7)))
      (br $more)))

  (func $put_bytes (param $ptr i32) (param $len i32)
    (memory.copy (global.get $out) (local.get $ptr) (local.get $len))
    (global.set $out (i32.add (global.get $out) (local.get $len))))

  (func $put_field (param $number i32) (param $ptr i32) (param $len i32)
    (if (i32.eqz (local.get $len)) (then (return)))
    (call $put (i32.or (i32.shl (local.get $number) (i32.const 3)) (i32.const 2)))
    (call $put_varint (i64.extend_i32_u (local.get $len)))
    (call $put_bytes (local.get $ptr) (local.get $len)))

  (func $put_number (param $number i32) (param $v i64)
    (if (i64.eqz (local.get $v)) (then (return)))
    (call $put (i32.shl (local.get $number) (i32.const 3)))
    (call $put_varint (local.get $v)))

  (func $written (param $from i32) (result i32)
    (i32.sub (global.get $out) (local.get $from)))

  ;; The host.

  (global $answer (mut i32) (i32.const 0))
  (global $answer_len (mut i32) (i32.const 0))

  (func $respond (param $ptr i32) (param $len i32) (result i32)
    (call $guest_response (local.get $ptr) (local.get $len))
    (i32.const 1))

  (func $fail (param $ptr i32) (param $len i32) (result i32)
    (call $guest_error (local.get $ptr) (local.get $len))
    (i32.const 0))

  ;; Makes a host call. Where it fails, its text becomes the guest's error.
  (func $call (param $space i32) (param $space_len i32) (param $operation i32) (param $operation_len i32)
      (param $payload i32) (param $payload_len i32) (result i32)
    (if (call $host_call (i32.const 160) (i32.const 7) (local.get $space) (local.get $space_len)
          (local.get $operation) (local.get $operation_len) (local.get $payload) (local.get $payload_len))
      (then
        (global.set $answer_len (call $host_response_len))
        (global.set $answer (call $alloc (global.get $answer_len)))
        (call $host_response (global.get $answer))
        (return (i32.const 1))))
    (global.set $answer_len (call $host_error_len))
    (global.set $answer (call $alloc (global.get $answer_len)))
    (call $host_error (global.get $answer))
    (call $fail (global.get $answer) (global.get $answer_len)))

  ;; Writes a line to the log.
  (func $log (param $ptr i32) (param $len i32) (result i32)
    (local $payload i32)
    (local.set $payload (call $alloc (i32.add (local.get $len) (i32.const 16))))
    (global.set $out (local.get $payload))
    (call $put_number (i32.const 2) (i64.const 3))
    (call $put_field (i32.const 3) (local.get $ptr) (local.get $len))
    (call $call (i32.const 272) (i32.const 14) (i32.const 304) (i32.const 23)
      (local.get $payload) (call $written (local.get $payload))))

  ;; The store's value of the key "hits", as a message.
  (func $get (result i32)
    (local $payload i32)
    (local.set $payload (call $alloc (i32.const 32)))
    (global.set $out (local.get $payload))
    (call $put_field (i32.const 1) (i32.const 464) (i32.const 4))
    (call $call (i32.const 176) (i32.const 15) (i32.const 208) (i32.const 19)
      (local.get $payload) (call $written (local.get $payload))))

  (func $add (param $n i64) (result i32)
    (local $payload i32)
    (local.set $payload (call $alloc (i32.const 32)))
    (global.set $out (local.get $payload))
    (call $put_field (i32.const 1) (i32.const 464) (i32.const 4))
    (call $put_number (i32.const 2) (local.get $n))
    (call $call (i32.const 176) (i32.const 15) (i32.const 240) (i32.const 19)
      (local.get $payload) (call $written (local.get $payload))))

  ;; HTTP.

  (global $method (mut i32) (i32.const 0))
  (global $method_len (mut i32) (i32.const 0))
  (global $path (mut i32) (i32.const 0))
  (global $path_len (mut i32) (i32.const 0))
  (global $query (mut i32) (i32.const 0))
  (global $query_len (mut i32) (i32.const 0))
  (global $accept (mut i32) (i32.const 0))
  (global $accept_len (mut i32) (i32.const 0))
  (global $body (mut i32) (i32.const 0))
  (global $body_len (mut i32) (i32.const 0))

  (func $read_header (param $from i32) (param $size i32)
    (local $in i32) (local $end i32)
    (local $key i32) (local $key_len i32) (local $value i32) (local $value_len i32)
    (local.set $in (global.get $in))
    (local.set $end (global.get $end))
    (call $read (local.get $from) (local.get $size))
    (loop $more
      (if (call $next)
        (then
          (if (call $is_text (i32.const 1))
            (then (local.set $key (global.get $ptr)) (local.set $key_len (global.get $len))))
          (if (call $is_text (i32.const 2))
            (then (local.set $value (global.get $ptr)) (local.set $value_len (global.get $len))))
          (br $more))))
    (if (call $equal (local.get $key) (local.get $key_len) (i32.const 448) (i32.const 6))
      (then
        (global.set $accept (local.get $value))
        (global.set $accept_len (local.get $value_len))))
    (global.set $in (local.get $in))
    (global.set $end (local.get $end)))

  (func $read_request (param $from i32) (param $size i32) (result i32)
    (global.set $method_len (i32.const 0))
    (global.set $path_len (i32.const 0))
    (global.set $query_len (i32.const 0))
    (global.set $accept_len (i32.const 0))
    (global.set $body_len (i32.const 0))
    (call $read (local.get $from) (local.get $size))
    (loop $more
      (if (call $next)
        (then
          (if (call $is_text (i32.const 1))
            (then (global.set $method (global.get $ptr)) (global.set $method_len (global.get $len))))
          (if (call $is_text (i32.const 2))
            (then (global.set $path (global.get $ptr)) (global.set $path_len (global.get $len))))
          (if (call $is_text (i32.const 3))
            (then (global.set $query (global.get $ptr)) (global.set $query_len (global.get $len))))
          (if (call $is (i32.const 4))
            (then (call $read_header (global.get $ptr) (global.get $len))))
          (if (call $is (i32.const 5))
            (then (global.set $body (global.get $ptr)) (global.set $body_len (global.get $len))))
          (br $more))))
    (i32.eqz (global.get $bad)))

  ;; Sends a response whose body is what the request consists of, and what the
  ;; store answered.
  (func $respond_http (param $status i64) (param $stored i32) (param $stored_len i32) (result i32)
    (local $all i32) (local $from i32)
    (local.set $all (i32.add (global.get $path_len) (i32.add (global.get $query_len) (i32.add
      (global.get $accept_len) (i32.add (global.get $body_len) (local.get $stored_len))))))
    (local.set $all (i32.add (local.get $all) (global.get $method_len)))
    (local.set $from (call $alloc (i32.add (local.get $all) (i32.const 128))))
    (global.set $out (local.get $from))
    (call $put_number (i32.const 1) (local.get $status))
    (call $put (i32.const 0x1a)) ;; an entry of the header
    (call $put (i32.const 26))
    (call $put_field (i32.const 1) (i32.const 480) (i32.const 12))
    (call $put_field (i32.const 2) (i32.const 496) (i32.const 10))
    (if (local.get $all)
      (then
        (call $put (i32.const 0x22)) ;; the body
        (call $put_varint (i64.extend_i32_u (local.get $all)))
        (call $put_bytes (global.get $method) (global.get $method_len))
        (call $put_bytes (global.get $path) (global.get $path_len))
        (call $put_bytes (global.get $query) (global.get $query_len))
        (call $put_bytes (global.get $accept) (global.get $accept_len))
        (call $put_bytes (global.get $body) (global.get $body_len))
        (call $put_bytes (local.get $stored) (local.get $stored_len))))
    (call $respond (local.get $from) (call $written (local.get $from))))

  (func $method_is (param $name i32) (param $len i32) (result i32)
    (call $equal (global.get $method) (global.get $method_len) (local.get $name) (local.get $len)))

  (func $handle_http (param $from i32) (param $size i32) (result i32)
    (if (i32.eqz (call $read_request (local.get $from) (local.get $size)))
      (then (return (call $fail (i32.const 560) (i32.const 38)))))
    (call $console_log (i32.const 672) (i32.const 5))
    (if (i32.or (i32.eqz (global.get $path_len)) (i32.eqz (global.get $method_len)))
      (then (return (call $respond_http (i64.const 400) (i32.const 0) (i32.const 0)))))
    (if (i32.eqz (call $log (global.get $path) (global.get $path_len))) (then (return (i32.const 0))))
    (if (call $method_is (i32.const 400) (i32.const 3)) ;; GET
      (then
        (if (i32.eqz (call $get)) (then (return (i32.const 0))))
        (return (call $finish))))
    (if (call $method_is (i32.const 416) (i32.const 4)) ;; POST
      (then
        (if (i32.eqz (call $add (i64.const 1))) (then (return (i32.const 0))))
        (return (call $finish))))
    (if (call $method_is (i32.const 432) (i32.const 6)) ;; DELETE
      (then
        (if (i32.eqz (call $add (i64.const -1))) (then (return (i32.const 0))))
        (return (call $finish))))
    (call $respond_http (i64.const 405) (i32.const 0) (i32.const 0)))

  ;; Answers with what the store said, if that is a message.
  (func $finish (result i32)
    (call $read (global.get $answer) (global.get $answer_len))
    (loop $more
      (br_if $more (call $next)))
    (if (global.get $bad) (then (return (call $fail (i32.const 608) (i32.const 49)))))
    (call $respond_http (i64.const 200) (global.get $answer) (global.get $answer_len)))

  ;; Messaging.

  (global $reply_to (mut i32) (i32.const 0))
  (global $reply_to_len (mut i32) (i32.const 0))

  (func $read_message (param $from i32) (param $size i32)
    (local $in i32) (local $end i32)
    (local.set $in (global.get $in))
    (local.set $end (global.get $end))
    (call $read (local.get $from) (local.get $size))
    (loop $more
      (if (call $next)
        (then
          (drop (call $is_text (i32.const 1))) ;; the subject
          (if (call $is_text (i32.const 2))
            (then (global.set $reply_to (global.get $ptr)) (global.set $reply_to_len (global.get $len))))
          (if (call $is (i32.const 3))
            (then (global.set $body (global.get $ptr)) (global.set $body_len (global.get $len))))
          (br $more))))
    (global.set $in (local.get $in))
    (global.set $end (local.get $end)))

  (func $handle_message (param $from i32) (param $size i32) (result i32)
    (local $inner i32) (local $payload i32)
    (global.set $reply_to_len (i32.const 0))
    (global.set $body_len (i32.const 0))
    (call $read (local.get $from) (local.get $size))
    (loop $more
      (if (call $next)
        (then
          (if (call $is (i32.const 1)) (then (call $read_message (global.get $ptr) (global.get $len))))
          (br $more))))
    (if (global.get $bad) (then (return (call $fail (i32.const 560) (i32.const 38)))))
    (if (i32.eqz (global.get $reply_to_len)) (then (return (call $respond (i32.const 0) (i32.const 0)))))
    (local.set $inner (call $alloc (i32.add (local.get $size) (i32.const 32))))
    (global.set $out (local.get $inner))
    (call $put_field (i32.const 1) (global.get $reply_to) (global.get $reply_to_len))
    (call $put_field (i32.const 3) (global.get $body) (global.get $body_len))
    (local.set $size (call $written (local.get $inner)))
    (local.set $payload (call $alloc (i32.add (local.get $size) (i32.const 16))))
    (global.set $out (local.get $payload))
    (call $put_field (i32.const 2) (local.get $inner) (local.get $size))
    (if (i32.eqz (call $call (i32.const 336) (i32.const 16) (i32.const 368) (i32.const 24)
          (local.get $payload) (call $written (local.get $payload))))
      (then (return (i32.const 0))))
    (call $respond (i32.const 0) (i32.const 0)))

  ;; Calls.

  (func $handle_health (param $from i32) (param $size i32) (result i32)
    (call $read (local.get $from) (local.get $size))
    (loop $more
      (br_if $more (call $next)))
    (if (global.get $bad) (then (return (call $fail (i32.const 560) (i32.const 38)))))
    (call $respond (i32.const 0) (i32.const 0)))

  (func $serve (param $operation i32) (param $operation_len i32) (param $from i32) (param $size i32) (result i32)
    (local $text i32)
    (if (call $equal (local.get $operation) (local.get $operation_len) (i32.const 16) (i32.const 28))
      (then (return (call $handle_health (local.get $from) (local.get $size)))))
    (if (call $equal (local.get $operation) (local.get $operation_len) (i32.const 64) (i32.const 31))
      (then (return (call $handle_http (local.get $from) (local.get $size)))))
    (if (call $equal (local.get $operation) (local.get $operation_len) (i32.const 112) (i32.const 31))
      (then (return (call $handle_message (local.get $from) (local.get $size)))))
    (local.set $text (call $alloc (i32.add (local.get $operation_len) (i32.const 38))))
    (global.set $out (local.get $text))
    (call $put_bytes (i32.const 512) (i32.const 38))
    (call $put_bytes (local.get $operation) (local.get $operation_len))
    (call $fail (local.get $text) (call $written (local.get $text))))

  (func (export "__guest_call") (param $operation_len i32) (param $size i32) (result i32)
    (local $operation i32) (local $from i32)
    (global.set $heap (i32.const 4096))
    (global.set $bad (i32.const 0))
    (local.set $operation (call $alloc (local.get $operation_len)))
    (local.set $from (call $alloc (local.get $size)))
    (call $guest_request (local.get $operation) (local.get $from))
    (call $serve (local.get $operation) (local.get $operation_len) (local.get $from) (local.get $size)))
)
