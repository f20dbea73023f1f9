/*
 * faults.h - the moments at which something reaches the disk, and what happens to one
 * of them.
 *
 * Linked into the simulation, it stands before the C library's calls that write, SQLite
 * calls them too.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdint.h>

enum fault {
	FAULT_NONE,
	FAULT_CRASH, /* the process ends before the call, as by SIGKILL */
	FAULT_POWER, /* the same, and power.h is told of syncs: the machine ends */
	FAULT_FULL,  /* the call says ENOSPC */
	FAULT_IO,    /* the call says EIO */
};

/* The calls are counted from now on, in *count, and the first to the last of these
 * numbers (from 1) meet this fault. */
void faults_arm(
    enum fault fault, int64_t *count, int64_t first, int64_t last, const char *under);

#endif
