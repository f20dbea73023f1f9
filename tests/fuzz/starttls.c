/*
 * starttls.c - what mail, directory and database servers say before TLS begins: the
 * first byte is the kind, the others are the server's, at once and then one by one.
 * What is made of them doesn't depend on that, and no byte after them is taken.
 */
#include "deploy/starttls.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"

#define SAID_MAX 64

static void
look_at(const struct starttls_talk *t, int r)
{
	MUST(r == 0 || r == 1 || r == -EPROTO || r == -ECONNRESET || r == -EMSGSIZE);
	MUST(t->len < sizeof(t->answer));
	MUST((r == -EPROTO) == (t->why[0] != '\0'));
	for (const char *c = t->why; *c != '\0'; c++)
		MUST(*c >= ' ' && *c < 0x7f);
}

/* How many bytes are still to be read. */
static size_t
count(int fd)
{
	char data[4096];
	size_t total = 0;
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), MSG_DONTWAIT)) > 0)
		total += (size_t)n;
	return total;
}

/* All in pieces of `piece` bytes, then the end of the connection. ret_taken: how many
 * of them were read. */
static int
talk(enum starttls kind, const uint8_t *data, size_t size, size_t piece,
    struct starttls_talk *t, size_t *ret_taken)
{
	int pair[2];
	size_t given = 0;
	int r;

	*t = (struct starttls_talk){ .kind = kind };
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	r = piece < size ? starttls_talk(t, pair[0]) : 0;
	while (r == 0 && given < size) {
		size_t n = size - given < piece ? size - given : piece;

		MUST(send(pair[1], data + given, n, 0) == (ssize_t)n);
		given += n;
		r = starttls_talk(t, pair[0]);
	}
	if (r == 0) {
		MUST(shutdown(pair[1], SHUT_WR) == 0);
		r = starttls_talk(t, pair[0]);
		MUST(r != 0);
	}
	MUST(count(pair[1]) <= SAID_MAX);
	*ret_taken = given - count(pair[0]);
	close(pair[0]);
	close(pair[1]);
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct starttls_talk whole, pieces;
	size_t taken, again;
	enum starttls kind;
	int r;

	if (size < 2)
		return 0;
	kind = data[0] % STARTTLS_KINDS;
	r = talk(kind, data + 1, size - 1, size - 1, &whole, &taken);
	look_at(&whole, r);
	MUST(talk(kind, data + 1, size - 1, 1, &pieces, &again) == r);
	MUST(again == taken && strcmp(pieces.why, whole.why) == 0);
	return 0;
}
