/*
 * whole_order.h - from a directory to a certificate: a session, its account, and a
 * flow, through exchanges, with a scripted CA at the other end.
 */
#ifndef WHOLE_ORDER_H
#define WHOLE_ORDER_H

#include "acme.h"
#include "scripted_ca.h"

struct whole_order {
	struct scripted_ca *ca;
	const struct acme_key *account_key;
	const struct acme_key *key;
	/* Called before (false) and after (true) what isn't libacme's work; or NULL. */
	void (*at_work)(bool libacme);
};

/* 0: there is a certificate; -EIO: there is a result that says why not; another
 * negative errno: something could not be made; 1: what libacme says contradicts itself.
 * No assertions of libcheck here: they allocate. */
int whole_order_run(const struct whole_order *o);

#endif
