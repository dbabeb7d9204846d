;; Wants 2 MiB of memory to start, and crashes without.
(module
  (memory (export "memory") 1)
  (func $allocate (if (i32.eq (memory.grow (i32.const 31)) (i32.const -1)) (then unreachable)))
  (func (export "_initialize") (call $allocate))
  (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))
