// The launcher of the layout isolated, for Linux on 64-bit ARM; zipstrap.launcher says what it is for, and has
// the code in data/launchers.json.
// After its last byte come the interpreter's path, relative to the launcher's folder, and a NUL.
// The stack of a new process: argc, argv, NULL, envp, NULL (AAPCS64 supplement); calls: asm-generic/unistd.h.
    .text
    .globl _start
_start:
    mov     x19, sp                     // argc; argv begins 8 bytes on
    ldr     x20, [x19]
    cbz     x20, fail                   // no argv[0] to replace
    add     x21, x19, x20, lsl #3
    add     x21, x21, #16               // envp
    sub     sp, sp, #12288              // 4096 bytes for our own path, 8192 for the interpreter's

    // Our own path, whatever name or link led here: it becomes argv[0], by which all places are found.
    mov     x0, #-100                   // AT_FDCWD
    adr     x1, self
    mov     x2, sp
    mov     x3, #4096
    mov     x8, #78                     // readlinkat
    svc     #0
    sub     x1, x0, #1
    cmp     x1, #4094
    b.hi    fail                        // an error, or too long
    mov     x2, sp
    strb    wzr, [x2, x0]
    str     x2, [x19, #8]

    // The interpreter's path: our folder and what the file says.
    add     x3, sp, #4096
    add     x4, x2, x0
copy:
    ldrb    w5, [x2], #1
    strb    w5, [x3], #1
    cmp     x2, x4
    b.ne    copy
folder:
    ldrb    w5, [x3, #-1]!
    cmp     w5, #'/'
    b.ne    folder
    add     x3, x3, #1
    adr     x2, interpreter
append:
    ldrb    w5, [x2], #1
    strb    w5, [x3], #1
    cbnz    w5, append

    // The environment without the names below.
    mov     x2, x21
    mov     x3, x21
variable:
    ldr     x0, [x2], #8
    cbz     x0, start
    adr     x4, names
name:
    ldrb    w5, [x4]
    cbz     w5, keep                    // none of them
    mov     x6, x0
letter:
    ldrb    w5, [x4], #1
    cbz     w5, variable                // all letters of the name: drop it
    ldrb    w7, [x6], #1
    cmp     w5, w7
    b.eq    letter
skip:
    ldrb    w5, [x4], #1
    cbnz    w5, skip
    b       name
keep:
    str     x0, [x3], #8
    b       variable

start:
    str     xzr, [x3]
    add     x0, sp, #4096
    add     x1, x19, #8
    mov     x2, x21
    mov     x8, #221                    // execve
    svc     #0
fail:
    mov     x0, #2
    adr     x1, message
    mov     x2, #(message_end - message)
    mov     x8, #64                     // write
    svc     #0
    mov     x0, #121
    mov     x8, #94                     // exit_group
    svc     #0

    .include "launcher_data.s"
