/* Tells a namespace's init that nothing will be started in it any more. glibc keeps this one for itself and lets no
 * program send it, so it means nothing else to anybody. */
#ifndef GITPROC_DRIVERS_PROCESS_INIT_LEAVE_SIGNAL_H
#define GITPROC_DRIVERS_PROCESS_INIT_LEAVE_SIGNAL_H

enum { leave_signal = 32 };

#endif
