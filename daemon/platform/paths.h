/*
 * paths.h - where renewd and renewctl look when nobody says otherwise.
 */
#ifndef PATHS_H
#define PATHS_H

#define PATHS_STATE_DIR      "/var/lib/renewd"
#define PATHS_BUNDLE_DIR     PATHS_STATE_DIR "/live"
#define PATHS_CONTROL_SOCKET "/run/renewd/control.sock"

#endif
