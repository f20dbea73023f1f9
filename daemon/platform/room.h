/*
 * room.h - can something be written to a directory now, and is there room for it?
 *
 * Used before work is begun that must not end for want of room.
 */
#ifndef ROOM_H
#define ROOM_H

#include <stdint.h>

/* Writes a little to a file without a name there, and looks at what is free. 0;
 * -ENOSPC: less than so many bytes; -EROFS, -EACCES, -EDQUOT or what else the system
 * says. */
int room_look(int dirfd, uint64_t bytes);
/* The same of a path. */
int room_look_at(const char *path, uint64_t bytes);

#endif
