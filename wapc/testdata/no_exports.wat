;; A module that is no guest.
(module (memory 1))
