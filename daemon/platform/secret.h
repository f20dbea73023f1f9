/*
 * secret.h - what the configuration keeps in a file of its own, or in a credential of
 * systemd's.
 *
 * Used for the HMAC keys of accounts and the passwords of files.
 */
#ifndef SECRET_H
#define SECRET_H

#include <stddef.h>

/* from: a path, or credential:NAME (systemd.exec(5), LoadCredential). White space
 * around it isn't a part of it. ret: NUL-terminated, to be freed with acme_wipe_free().
 * Also when it can't be read, *ret_path says where it was looked for; to be freed. */
int secret_read(const char *from, char **ret, size_t *ret_len, char **ret_path);

#endif
