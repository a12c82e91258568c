/* For fibers, which cannot switch stacks here. */
#ifndef FLUX_UCONTEXT_H
#define FLUX_UCONTEXT_H

typedef struct flux_ucontext {
    struct flux_ucontext *uc_link;
    struct {
        void *ss_sp;
        size_t ss_size;
        int ss_flags;
    } uc_stack;
} ucontext_t;

int getcontext(ucontext_t *);
int setcontext(const ucontext_t *);
void makecontext(ucontext_t *, void (*)(void), int, ...);
int swapcontext(ucontext_t *, const ucontext_t *);

#endif
