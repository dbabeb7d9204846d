;; Functions with the kinds of names that compilers give.
(module $guest.wasm
  (memory (export "memory") 1)
  (func $_ZN4core9panicking5panic17h0123456789abcdefE unreachable)
  (func $main.handle (param i32 i64) (result i32 i64)
    (call $_ZN4core9panicking5panic17h0123456789abcdefE) (i32.const 0) (i64.const 0))
  (func (export "__guest_call") (param i32 i32) (result i32)
    (call $main.handle (i32.const 0) (i64.const 0)) drop))
