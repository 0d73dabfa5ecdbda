/* The two gates of one connection, for spin: check.py runs it, docs/why-it-is-safe.md explains it.
 *
 * What is one step here is one step in the code: senders run on threads of their own; the loop's thread handles one message
 * of the actor's mailbox, or lets the transport read one thing, or lets the kernel take one frame. The machine's rules are
 * not written here: they are printed by the code (transitions.pml).
 *
 * What others do (the peer, the network, who asks for a close, a fault in the actor) may happen at any time or never. What
 * the server owes must happen: `quiet` says when nothing of that is left, and then everybody must have been answered.
 *
 * Mutants, each with something that the design relies on taken away: NO_SEAL, NO_CLOSING_STATE,
 * REPLY_PASSES_QUEUE, NO_DEADLINE, MAILBOX_DROPS. Each must be found violating. ONLY_DATA looks for one thing alone, a message
 * after a Close frame: for a picture of that. */

#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef SENDS
#define SENDS 2 /* of each sender */
#endif
#define MESSAGES (SENDERS * SENDS)
#define CLOSERS 2 /* the application, and the drain */
#ifndef BACKLOG
#define BACKLOG 3 /* in the mailbox at a time: who comes when it is full comes later */
#endif

mtype = { none,
          /* states; as outcomes: refused by that state */
          connecting, accepted, open, closing, closed, failed,
          /* events; `written` is an outcome, too */
          upgraded, admitted, send, send_too_large, send_past_limits, send_that_expired,
          send_with_key, send_again, received, written, ask_close, ask_invalid_close, peer_closed, violated, link_closed,
          link_failed, deadline_passed, deadline_to_come, abort_now,
          /* other outcomes */
          overflow, expired, too_large,
          /* answers to who asks for a close */
          initiated, already_closing, already_closed, invalid_code }

/* Frames on the wire: messages are 1 to MESSAGES. */
#define HTTP_101 200
#define CLOSE_FRAME 201

/* the actor */
mtype state = connecting;
bool alive = true;            /* its mailbox takes messages */
bool timer_is_set, timer_fired, admission_was_sent;
bool again;                   /* others have made way for a message */
chan mailbox = [BACKLOG] of { mtype, byte };
/* the wire, which belongs to the link */
chan wire = [MESSAGES + 3] of { byte };
bool sealed, broken, close_waits, handshake_is_over;
/* the link */
bool link_is_over;            /* it reports nothing more */
bool close_was_read, violation_was_read;
/* the network: what the kernel took of ours */
bool http_is_out, close_is_out;
byte last_out[SENDERS];       /* what each sender's last message was, to see their order */
/* what everybody was told */
byte sent[SENDERS];
bool has_outcome[MESSAGES + 1];
bool has_asked[CLOSERS], has_answer[CLOSERS];
bool close_was_initiated, abort_was_asked;

inline settle(message, what) {
  printf("sender: message %d was %e\n", message, what);
  assert(!has_outcome[message]); /* exactly one outcome: not two */
  has_outcome[message] = true
}

inline settle_close(closer, what) {
  assert(!has_answer[closer]);
  has_answer[closer] = true;
  if
  :: what == initiated -> assert(!close_was_initiated); close_was_initiated = true
  :: else
  fi
}

/* --- the wire: the second gate ---------------------------------------------------------------------------------- */

inline seal() {
#ifndef NO_SEAL
  sealed = true
#else
  skip
#endif
}

inline push_close() {
  if
  :: sealed || broken -> skip
  :: else ->
    if
    :: handshake_is_over -> wire!CLOSE_FRAME
    :: else -> close_waits = true /* it must not overtake the 101 */
    fi;
    seal()
  fi
}

inline abandon() {
  sealed = true;
  broken = true;
  link_is_over = true;
  do
  :: wire?frame ->
    if
    :: frame <= MESSAGES -> settle(frame, failed)
    :: else
    fi
  :: empty(wire) -> break
  od
}

/* --- the machine's effects: the first gate ------------------------------------------------------------------------ */

inline announce_open() { skip }
inline deliver() { assert(state == open) }
inline discard() { skip }
inline abort_link() { abandon() }
inline refuse(why) { settle(about, why) }
inline send_close() { push_close() }
inline answer_close(what) { settle_close(about, what) }

inline write() {
  if
  :: broken -> settle(about, failed)
  :: !broken && sealed -> settle(about, closing)
  :: else -> wire!about
  fi
}

/* Of each sender the last message replaces the one before it, if that still waits. */
#define has_key(message) (SENDS > 1 && message % SENDS == 0)

inline make_room() {
  if
  :: wire??[eval(about - 1)] -> wire??eval(about - 1); settle(about - 1, overflow)
  :: else
  fi;
  again = true
}

inline report_closed() {
  assert(alive); /* reported once */
  leave()
}

/* The actor ends: what is in its mailbox goes with it, and each message's receipt settles. */
inline leave() {
  alive = false;
  do
  :: mailbox?event, about ->
    if
    :: event == send ->
#ifndef MAILBOX_DROPS
      settle(about, state)
#else
      skip
#endif
    :: event == ask_close -> settle_close(about, already_closed)
    :: else
    fi
  :: empty(mailbox) -> break
  od;
  if
  :: !link_is_over -> abandon()
  :: else
  fi
}

#define RULE(in, what, next, effects) :: state == in && event == what -> state = next; effects

inline apply() {
  printf("actor:  %e, %e\n", state, event);
  if
#ifdef NO_CLOSING_STATE
  :: state == open && event == ask_close -> send_close(); answer_close(initiated)
  :: else ->
    if
#include "transitions.pml"
    fi
#else
#include "transitions.pml"
#endif
  fi;
  if
  :: state == closing -> timer_is_set = true
  :: else
  fi
}

inline handle() {
  if
  :: event == ask_close && (state == connecting || state == accepted || state == open) && sealed ->
    /* The transport has answered the peer's Close, or broke: the actor has yet to hear of it. */
    if
    :: broken -> settle_close(about, already_closed)
    :: else -> settle_close(about, already_closing)
    fi
  :: event == abort_now -> abandon(); event = link_failed; apply()
  :: event == send && has_key(about) ->
    event = send_with_key;
    apply();
    if
    :: again -> again = false; event = send_again; apply()
    :: else
    fi
  :: else -> apply()
  fi
}

/* --- what must be true when the server has done all that it owes ----------------------------------------------------- */

#ifdef NO_DEADLINE
#define timer_is_due false
#else
#define timer_is_due (alive && timer_is_set && !timer_fired)
#endif
#define close_is_complete (close_is_out && (close_was_read || violation_was_read))
/* Only the kernel may be slow for ever. */
#define quiet (empty(mailbox) && (handshake_is_over || link_is_over) && !(alive && state == accepted) && \
               !timer_is_due && (link_is_over || !close_is_complete))

inline judge() {
  assert(state != closing);                    /* every close ends ... */
  assert(!close_was_initiated || !alive);      /* ... and so does its actor, */
  assert((state == closed || state == failed) == !alive);
  assert(!has_asked[0] || has_answer[0]);      /* whoever asked for it has been told, */
  assert(!has_asked[1] || has_answer[1]);
  about = 0;
  do
  :: about == MESSAGES -> break
  :: else ->
    /* and so has the sender of every message, unless it waits for the kernel. */
    assert(has_outcome[about + 1] || sent[about / SENDS] <= about % SENDS || (state == open && nempty(wire)));
    about++
  od;
  about = 0
}

/* --- the loop's thread --------------------------------------------------------------------------------------------- */

active proctype loop() {
  mtype event;
  byte about, frame;
  do
  :: atomic { alive && nempty(mailbox) -> mailbox?event, about; handle(); about = 0; frame = 0; event = none }

  :: atomic { /* the link answers the upgrade request */
       !handshake_is_over && !link_is_over && nfull(mailbox) ->
       printf("link:   101 queued\n");
       wire!HTTP_101;
       handshake_is_over = true;
       if
       :: close_waits -> wire!CLOSE_FRAME; close_waits = false
       :: else
       fi;
       mailbox!upgraded, 0 }

  :: atomic { /* the roster, which registers it */
       state == accepted && alive && nfull(mailbox) && !admission_was_sent -> admission_was_sent = true; printf("roster: registers it\n"); mailbox!admitted, 0 }

  :: atomic { /* the kernel takes a frame */
       !link_is_over && nempty(wire) -> wire?frame;
       if
       :: frame == HTTP_101 -> printf("kernel: takes the 101\n")
       :: frame == CLOSE_FRAME -> printf("kernel: takes the Close frame\n")
       :: else -> printf("kernel: takes message %d\n", frame)
       fi;
#ifdef ONLY_DATA
       assert(frame > MESSAGES || !close_is_out);
#else
       assert(!close_is_out); /* NOTHING FOLLOWS A CLOSE FRAME: no message, no second Close */
#endif
       if
       :: frame == HTTP_101 -> http_is_out = true
       :: frame == CLOSE_FRAME -> assert(http_is_out); close_is_out = true
       :: else ->
         assert(http_is_out);
         assert(last_out[(frame - 1) / SENDS] < frame); /* first in, first out for each sender */
         last_out[(frame - 1) / SENDS] = frame;
         settle(frame, written)
       fi;
       frame = 0 }

  :: atomic { /* the first message has a time to live */
       alive && wire??[1] -> wire??eval(1); settle(1, expired) }

  :: atomic { /* the transport reads */
       !link_is_over && handshake_is_over && !violation_was_read && !close_was_read && nfull(mailbox) ->
       close_was_read = true;
       printf("link:   the peer's Close is read and answered\n");
#ifdef REPLY_PASSES_QUEUE
       if
       :: !sealed -> assert(!close_is_out); close_is_out = true; seal()
       :: else
       fi;
#else
       push_close();
#endif
       mailbox!peer_closed, 0 }
  :: atomic {
       !link_is_over && handshake_is_over && !violation_was_read && !close_was_read && nfull(mailbox) ->
       violation_was_read = true;
       printf("link:   the peer breaks the protocol\n");
       push_close();
       mailbox!violated, 0 }
  :: atomic {
       !link_is_over && close_is_complete && nfull(mailbox) ->
       link_is_over = true;
       printf("link:   both Close frames are exchanged\n");
       mailbox!link_closed, 0 }
  :: atomic {
       !link_is_over && nfull(mailbox) ->
       printf("link:   reset by the peer\n");
       abandon();
       mailbox!link_failed, 0 }

  :: atomic { timer_is_due && nfull(mailbox) -> timer_fired = true; printf("timer:  the close deadline\n"); mailbox!deadline_passed, 0 }
  :: atomic { /* a handler of the actor's own throws something: it ends, and its link with it */
       alive -> printf("actor:  breaks\n");
       abandon(); event = link_failed; apply(); about = 0; frame = 0; event = none }

#ifndef ONLY_DATA
  :: atomic { quiet -> judge() }
#endif
  od
}

/* --- everybody else, each on a thread of its own --------------------------------------------------------------------- */

inline ask(me) {
  if
  :: alive -> enqueue(ask_close, me)
  :: else -> settle_close(me, already_closed)
  fi
}

inline enqueue(event, about) {
  if
  :: event == send -> printf("sender: enqueues message %d\n", about)
  :: event == ask_close -> printf("closer: asks for a close\n")
  :: else -> printf("drain:  aborts\n")
  fi;
  mailbox!event, about
}

proctype sender(byte me) {
  do
  :: sent[me] == SENDS -> break
  :: atomic { sent[me] < SENDS && nfull(mailbox) ->
       sent[me]++;
       if
       :: alive -> enqueue(send, me * SENDS + sent[me])
       :: else -> settle(me * SENDS + sent[me], state)
       fi }
  od
}

/* The application, and the drain, which aborts when its own time is over. */
active proctype closers() {
end:
  do
  :: atomic { !has_asked[0] && nfull(mailbox) -> has_asked[0] = true; ask(0) }
  :: atomic { !has_asked[1] && nfull(mailbox) -> has_asked[1] = true; ask(1) }
  :: atomic { has_asked[1] && !abort_was_asked && alive && nfull(mailbox) -> abort_was_asked = true; enqueue(abort_now, 0) }
  od
}

init {
  byte i;
  atomic {
    for (i : 0 .. SENDERS - 1) { run sender(i) }
    i = 0
  }
}
