"use strict";
// A client of a session, as docs/sessions.md describes it. It keeps two things: the offset of the last event that it
// has, and the token for the next time. With these it may lose its socket at any moment.

// What to do about a close. Every other code is the socket's own affair: come back, with what is kept.
const stayAway = {
  4500: "the session has ended",
  4503: "another page took over",
  4504: "the session has as many pages as it may",
  1011: "the session failed",
};
// The session is gone, or the token is: whoever gave them may give others.
const askAgain = { 4501: "there is no such session", 4502: "the token is not good any more" };

const firstDelay = 250, longestDelay = 10_000, patience = 10_000; // milliseconds
const mostShown = 2_000, mostTold = 100; // events, lines about the connection

let place = null; // {url, run, session, token}: where the run can be seen
let epoch = ""; // offsets count within it: a session that began anew says so
let last = 0; // the offset of the last event here
let socket = null; // the one that counts; what older ones still say is not heard
let failures = 0, timer = 0, over = false;

const at = (id) => document.getElementById(id);

// --- coming and going ---------------------------------------------------------------------------------------------

async function connect() {
  timer = 0;
  try {
    if (!place) await findPlace();
  } catch (error) {
    return comeBack(`the backend: ${error.message}`);
  }
  if (over) return;
  const query = new URLSearchParams({ session: place.session, token: place.token, after: last, epoch });
  const mine = (socket = new WebSocket(`${place.url}?${query}`));
  const tooLong = setTimeout(() => lose(mine, "no answer"), patience);
  mine.onmessage = ({ data }) => {
    if (mine !== socket) return;
    const message = JSON.parse(data);
    if (message.attached) {
      clearTimeout(tooLong);
      attached(message.attached);
    } else if (message.offset) {
      happened(message);
    }
  };
  mine.onclose = ({ code, reason }) => {
    clearTimeout(tooLong);
    if (mine !== socket) return;
    const why = `${code}${reason ? ` ${reason}` : ""}`;
    if (code in stayAway) return finish(code === 4500 ? "over" : "failed", `${stayAway[code]}: ${why}`);
    if (code in askAgain) place = null;
    lose(mine, `closed with ${why}`);
  };
}

/// The backend knows which session shows the run, and gives a token for it.
async function findPlace() {
  const answer = await fetch("session", { method: "POST", signal: AbortSignal.timeout(patience) });
  if (answer.status === 410) return finish("over", "the run is over");
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  const found = await answer.json();
  // The same run: the backend promises that its events have the same offsets in every session that shows it, so that
  // `last` stands and the epoch does not. Another one: from the beginning.
  if (at("events").dataset.run !== found.run) {
    at("events").replaceChildren();
    at("events").dataset.run = found.run;
    last = 0;
  }
  epoch = "";
  place = found;
}

/// `which` is given up, whether or not it knows by now.
function lose(which, why) {
  if (which !== socket) return;
  socket = null;
  which.close();
  comeBack(why);
}

/// Later each time, and not when everybody else does who lost the server in the same moment.
function comeBack(why) {
  if (over || timer) return;
  const delay = Math.min(longestDelay, firstDelay * 2 ** Math.min(failures++, 10)) * (0.5 + Math.random() / 2);
  tell(`${why}; again in ${Math.round(delay)} ms`);
  show("waiting", `reconnecting: ${why}`);
  at("reconnects").textContent = Number(at("reconnects").textContent) + 1;
  timer = setTimeout(connect, delay);
}

function finish(state, why) {
  over = true;
  socket = null;
  tell(why);
  show(state, why);
}

// A browser tells a page only late that a network is gone. The operating system may know earlier.
addEventListener("offline", () => socket && lose(socket, "offline"));
addEventListener("online", () => {
  if (!timer) return;
  clearTimeout(timer);
  connect();
});

// --- what is received ---------------------------------------------------------------------------------------------

function attached(now) {
  failures = 0;
  place.token = now.token; // the used one stays good until this one is used
  if (now.recovered) {
    tell(`attached at ${last}; ${now.offset - last} missed events follow`);
  } else {
    gap(last, now.offset, epoch && epoch !== now.epoch);
    last = now.offset;
  }
  epoch = now.epoch;
  acknowledge(); // again: the socket may have broken under the last one
  show("live", "live");
}

function happened({ offset, type, data, time }) {
  if (offset <= last) {
    at("doubled").textContent = Number(at("doubled").textContent) + 1;
    return;
  }
  if (offset > last + 1) gap(last, offset - 1, false);
  last = offset;
  const line = document.createElement("li");
  line.value = offset;
  line.dataset.offset = offset;
  const name = document.createElement("b");
  name.textContent = type; // never innerHTML: what an agent says is not ours
  const text = Object.entries(data).map(([key, value]) => `${key}: ${value}`).join(", ");
  const clock = document.createElement("small");
  clock.textContent = time.slice(11, 19);
  line.append(name, " ", text, " ", clock);
  append("events", line, mostShown);
  acknowledge();
}

/// The backend ends the session once somebody has seen all of it.
function acknowledge() {
  if (last > 0) socket.send(JSON.stringify({ ack: last }));
}

/// Nobody will send these any more: say so.
function gap(after, upTo, begunAnew) {
  const line = document.createElement("li");
  line.className = "gap";
  line.value = upTo;
  line.textContent = begunAnew
    ? `the session began anew: what came after ${after} is lost, and it is at ${upTo} now`
    : `events ${after + 1} to ${upTo} were missed: they are not kept any more`;
  at("missed").textContent = Number(at("missed").textContent) + Math.max(0, upTo - after);
  append("events", line, mostShown);
}

// --- what is shown and said ---------------------------------------------------------------------------------------

function append(list, line, most) {
  at(list).append(line);
  if (at(list).childElementCount > most) at(list).firstElementChild.remove();
}

function tell(text) {
  append("link", Object.assign(document.createElement("li"), { textContent: text }), mostTold);
}

function show(state, text) {
  at("state").dataset.state = state;
  at("state").textContent = text;
}

function say(text) {
  // What is said while the socket breaks may be lost: only what the agent says comes again.
  if (!text || socket?.readyState !== WebSocket.OPEN) return;
  socket.send(text);
  at("told").textContent = `you said: ${text}`;
  at("text").value = "";
}

at("say").onsubmit = (event) => {
  event.preventDefault();
  say(at("text").value);
};
at("cancel").onclick = () => say("cancel");

connect();
