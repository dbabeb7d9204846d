;; Exports what the protocol names, each with another type.
(module
  (memory 1)
  (global $g i32 (i32.const 0))
  (export "_start" (global $g))
  (func (export "__guest_call") (param i32) (result i32) (i32.const 1))
  (func (export "memory"))
  (func (export "_initialize") (param i32))
  (func (export "wapc_init") (result i32) (i32.const 1)))
