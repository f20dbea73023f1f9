/*
 * power.h - a disk that keeps only what was synced, for a folder of the simulation.
 *
 * faults.c tells of each sync. When the power is cut, the folder becomes what such a
 * disk would hold: of files and directories what their last sync had found, or, as
 * nothing forbids a disk to be faster, more of it. Names (what a directory lists) and
 * content are kept apart, as file systems do.
 */
#ifndef POWER_H
#define POWER_H

#include <stdint.h>

/* What a disk makes of that which wasn't synced. */
enum power_disk {
	POWER_NOTHING, /* it is lost */
	POWER_NAMES,   /* names are there, content is lost: files are empty or old */
	POWER_CHANCE,  /* each directory old or new, each sector of a file old or new */
	POWER_DISKS,
};

/* All that there is now has been synced. The folder must have a name of its own length:
 * what is kept stands beside it. */
void power_begin(const char *dir);
/* From now on in this process: syncs of what is under this folder count. */
void power_use(const char *dir);
/* A file or a directory under it was synced, or (syncfs) all of it. */
void power_synced(int fd);
void power_synced_all(void);
/* No process uses the folder any more. */
void power_cut(const char *dir, enum power_disk disk, uint64_t chance);
void power_end(const char *dir);

#endif
