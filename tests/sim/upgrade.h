/*
 * upgrade.h - the power is cut while a database of an earlier version is migrated.
 */
#ifndef UPGRADE_H
#define UPGRADE_H

/* From each version, at each call that writes, with each disk. Says what came of it,
 * and returns the exit status. */
int upgrade_all(void);

#endif
