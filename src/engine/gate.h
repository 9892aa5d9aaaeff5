/*
 * A gate that many readers pass all the time and somebody closes once in a long while: what
 * lies behind it is replaced while nobody is inside. A reader takes one of many slots and
 * gives it back, so that readers neither wait for each other nor share a cache line, which
 * a lock for readers and writers would cost each of them.
 */
#ifndef STEM_ENGINE_GATE_H
#define STEM_ENGINE_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { STEM_GATE_SLOTS = 64, STEM_CACHE_LINE = 64 };

typedef struct stem_gate_slot {
    atomic_bool is_taken;
    char rest_of_line[STEM_CACHE_LINE - sizeof(atomic_bool)];
} stem_gate_slot;

/* Zeroed it is open, but for the lock. */
typedef struct stem_gate {
    atomic_bool is_closed;
    pthread_mutex_t closing; /* held by who has closed it */
    _Alignas(STEM_CACHE_LINE) stem_gate_slot slots[STEM_GATE_SLOTS];
} stem_gate;

/* Waits until the gate may be open, or a slot free. */
void stem_gate_wait(stem_gate *gate);
/* Closes it, and returns when nobody is inside. */
void stem_gate_close(stem_gate *gate);
void stem_gate_open(stem_gate *gate);

/* Goes in; the slot is for leaving. Not again by a thread that is inside.
 *
 * Taking the slot and looking at `is_closed` are in one order with closing and looking at the
 * slots (both are sequentially consistent): one of the two sees the other. */
static inline stem_gate_slot *stem_gate_enter(stem_gate *gate)
{
    /* Threads have stacks of their own, so this is most often a slot of their own. */
    size_t first = (size_t)((uintptr_t)__builtin_frame_address(0) >> 20);

    for (size_t i = 0;; i++) {
        stem_gate_slot *slot = &gate->slots[(first + i) % STEM_GATE_SLOTS];
        bool is_free = false;

        if (atomic_compare_exchange_strong(&slot->is_taken, &is_free, true)) {
            if (!atomic_load(&gate->is_closed))
                return slot;
            atomic_store_explicit(&slot->is_taken, false, memory_order_release);
            stem_gate_wait(gate);
        } else if (i >= STEM_GATE_SLOTS) {
            stem_gate_wait(gate);
        }
    }
}

static inline void stem_gate_leave(stem_gate_slot *slot)
{
    atomic_store_explicit(&slot->is_taken, false, memory_order_release);
}

#endif
