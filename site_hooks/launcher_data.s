/* What the launchers of all machines have in common: which variables they drop, and what they say. */
self:
    .asciz  "/proc/self/exe"
names:                                  /* up to an empty one; what begins like that is dropped */
    .asciz  "LD_"
    .asciz  "GCONV_PATH="
    .asciz  "PYTHONEXECUTABLE="
    .asciz  "__PYVENV_LAUNCHER__="
    .byte   0
message:
    .ascii  "zipstrap: this tree's interpreter (libexec) cannot be started, or there is no /proc; stopped\n"
message_end:
interpreter:
