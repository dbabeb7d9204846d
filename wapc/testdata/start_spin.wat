;; Never comes out of its start function.
(module
  (memory (export "memory") 1)
  (func $forever (loop $again (br $again)))
  (func (export "_initialize") (call $forever))
  (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))
