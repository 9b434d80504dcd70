# The launcher of the layout isolated, for Linux on x86-64; zipstrap.launcher says what it is for, and has the
# code in data/launchers.json.
# After its last byte come the interpreter's path, relative to the launcher's folder, and a NUL.
# The stack of a new process: argc, argv, NULL, envp, NULL (System V ABI); numbers of calls: asm/unistd_64.h.
    .intel_syntax noprefix
    .text
    .globl _start
_start:
    mov     rbx, rsp                    # argc; argv begins 8 bytes on
    mov     rcx, [rbx]
    test    rcx, rcx
    jz      fail                        # no argv[0] to replace
    lea     rbp, [rbx + 8 * rcx + 16]   # envp
    sub     rsp, 12288                  # 4096 bytes for our own path, 8192 for the interpreter's

    # Our own path, whatever name or link led here: it becomes argv[0], by which all places are found.
    mov     eax, 89                     # readlink
    lea     rdi, [rip + self]
    mov     rsi, rsp
    mov     edx, 4096
    syscall
    lea     rcx, [rax - 1]
    cmp     rcx, 4094
    ja      fail                        # an error, or too long
    mov     byte ptr [rsp + rax], 0
    mov     [rbx + 8], rsp

    # The interpreter's path: our folder and what the file says.
    lea     rdi, [rsp + 4096]
    mov     rsi, rsp
    mov     rcx, rax
    rep movsb
folder:
    dec     rdi
    cmp     byte ptr [rdi], '/'
    jne     folder
    lea     rsi, [rip + interpreter]
append:
    inc     rdi
    lodsb
    mov     [rdi], al
    test    al, al
    jnz     append

    # The environment without the names below.
    mov     rsi, rbp
    mov     rdi, rbp
variable:
    lodsq
    test    rax, rax
    jz      start
    lea     r8, [rip + names]
name:
    cmp     byte ptr [r8], 0
    je      keep                        # none of them
    mov     r9, rax
letter:
    mov     dl, [r8]
    test    dl, dl
    jz      variable                    # all letters of the name: drop it
    inc     r8
    cmp     dl, [r9]
    jne     skip
    inc     r9
    jmp     letter
skip:
    cmp     byte ptr [r8], 0
    lea     r8, [r8 + 1]
    jne     skip
    jmp     name
keep:
    stosq
    jmp     variable

start:
    mov     [rdi], rax
    mov     eax, 59                     # execve
    lea     rdi, [rsp + 4096]
    lea     rsi, [rbx + 8]
    mov     rdx, rbp
    syscall
fail:
    mov     eax, 1                      # write
    mov     edi, 2
    lea     rsi, [rip + message]
    mov     edx, offset message_end - message
    syscall
    mov     eax, 231                    # exit_group
    mov     edi, 121
    syscall

    .include "launcher_data.s"
