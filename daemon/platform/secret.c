/*
 * secret.c - reads secrets from files and credentials.
 *
 * Called by renew/ and deploy/. It must never say any of what it reads.
 */
#include "platform/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme.h"
#include "platform/file.h"
#include "scope.h"

#define FILE_MAX (64 * 1024)
#define BLANKS   " \t\r\n"

static char *
make_path(const char *from)
{
	static const char prefix[] = "credential:";
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char *path;

	if (strncmp(from, prefix, strlen(prefix)) != 0)
		return strdup(from);
	if (asprintf(&path, "%s/%s", dir != NULL ? dir : "", from + strlen(prefix)) < 0)
		return NULL;
	return path;
}

int
secret_read(const char *from, char **ret, size_t *ret_len, char **ret_path)
{
	char *text, *begin;
	size_t all, len;
	int r;

	*ret_path = make_path(from);
	if (*ret_path == NULL)
		return -ENOMEM;
	r = file_read(AT_FDCWD, *ret_path, FILE_MAX, &text, &all);
	if (r < 0)
		return r;
	begin = text + strspn(text, BLANKS);
	len = all - (size_t)(begin - text);
	while (len > 0 && strchr(BLANKS, begin[len - 1]) != NULL)
		len--;
	memmove(text, begin, len);
	explicit_bzero(text + len, all - len);
	*ret = text;
	*ret_len = len;
	return 0;
}
