/*
 * operator.c - see operator.h. One request at a time, each on a connection of its own.
 */
#include "operator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "virtual_time.h"

#define AGAIN_SECONDS 60

static struct operator* all;
static char path[108];
static struct operator_wish *asked;
static int link_fd = -1;
static char answer[4096];
static size_t answer_len;

void
operator_plan(struct operator* o, int64_t at, const char *method, const char *where,
    const char *body)
{
	for (size_t i = 0; i < OPERATOR_WISHES; i++) {
		struct operator_wish *w = &o->wishes[i];

		if (w->at != 0)
			continue;
		w->at = w->next = at;
		snprintf(w->method, sizeof(w->method), "%s", method);
		snprintf(w->path, sizeof(w->path), "%s", where);
		snprintf(w->body, sizeof(w->body), "%s", body);
		return;
	}
	abort(); /* more wishes than there is room for */
}

const struct operator_wish *
operator_missing(const struct operator* o)
{
	for (size_t i = 0; i < OPERATOR_WISHES; i++)
		if (o->wishes[i].at != 0 && !o->wishes[i].granted)
			return &o->wishes[i];
	return NULL;
}

static void
ask(struct operator_wish *w)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char text[512];
	int n;

	memcpy(a.sun_path, path, sizeof(path));
	link_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	n = snprintf(text, sizeof(text),
	    "%s %s HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	    w->method, w->path, strlen(w->body), w->body);
	w->next = virtual_time_now() + AGAIN_SECONDS;
	if (connect(link_fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    send(link_fd, text, (size_t)n, MSG_NOSIGNAL) != n) {
		close(link_fd);
		link_fd = -1;
		return;
	}
	w->asked++;
	answer_len = 0;
	asked = w;
}

static void
hear(void)
{
	ssize_t n =
	    recv(link_fd, answer + answer_len, sizeof(answer) - 1 - answer_len, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		answer_len += (size_t)n;
		if (answer_len < sizeof(answer) - 1)
			return;
	}
	answer[answer_len] = '\0';
	asked->status = 0;
	(void)sscanf(answer, "HTTP/1.1 %d", &asked->status);
	asked->granted = asked->status >= 200 && asked->status < 300;
	asked->next = virtual_time_now() + AGAIN_SECONDS;
	close(link_fd);
	link_fd = -1;
}

static void
look(void)
{
	if (link_fd >= 0) {
		hear();
		return;
	}
	for (size_t i = 0; i < OPERATOR_WISHES; i++) {
		struct operator_wish *w = &all->wishes[i];

		if (w->at == 0 || w->granted)
			continue;
		if (w->next <= virtual_time_now())
			ask(w);
		return; /* one after the other */
	}
}

void
operator_use(struct operator* o, const char *socket_path)
{
	all = o;
	snprintf(path, sizeof(path), "%s", socket_path);
	virtual_time_each(look);
}
