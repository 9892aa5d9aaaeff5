/*
 * Closing and opening a gate; see gate.h for passing it.
 */
#include "gate.h"

#include <sched.h>

void stem_gate_wait(stem_gate *gate)
{
    sched_yield();
    pthread_mutex_lock(&gate->closing);
    pthread_mutex_unlock(&gate->closing);
}

void stem_gate_close(stem_gate *gate)
{
    pthread_mutex_lock(&gate->closing);
    atomic_store(&gate->is_closed, true);
    for (int i = 0; i < STEM_GATE_SLOTS; i++)
        while (atomic_load(&gate->slots[i].is_taken))
            sched_yield();
}

void stem_gate_open(stem_gate *gate)
{
    atomic_store(&gate->is_closed, false);
    pthread_mutex_unlock(&gate->closing);
}
