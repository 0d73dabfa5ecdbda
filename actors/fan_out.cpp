#include "actors/fan_out.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

#include "actors/connection_actor.hpp"
#include "actors/connection_core.hpp"
#include "protocol/compressed_form.hpp"
#include "protocol/defect.hpp"

namespace fairlead::actors {

namespace {

using batch = std::span<const fan_out>;

std::string_view plain_frame(const fan_out& b) { return b.what.frame(); }
/// The one that goes to who takes it compressed.
std::string_view compressed_frame(const fan_out& b) {
  const auto* const form = protocol::compressed_form::of(b.what.storage());
  return form ? form->view() : b.what.frame();
}

template <class FrameOf>
protocol::compressed_form join(batch broadcasts, FrameOf frame_of) {
  std::size_t size = 0;
  for (const auto& b : broadcasts) size += frame_of(b).size();
  auto bytes = std::make_shared_for_overwrite<char[]>(size);
  auto* end = bytes.get();
  for (const auto& b : broadcasts) {
    const std::string_view frame = frame_of(b);
    std::memcpy(end, frame.data(), frame.size());  // gcc 12 copies ranges byte by byte
    end += frame.size();
  }
  return {std::move(bytes), static_cast<std::uint32_t>(size)};
}

/// The frames of several broadcasts, copied into one piece once per loop instead of gathered once per connection; so are
/// their compressed forms, where there are any.
protocol::chunk fold(batch broadcasts) {
  if (broadcasts.size() == 1) return protocol::as_chunk(broadcasts[0].what);
  auto [storage, size] = join(broadcasts, plain_frame);
  if (std::ranges::any_of(broadcasts, [](const fan_out& b) {
        return protocol::compressed_form::of(b.what.storage()) != nullptr;
      }))
    storage = join(broadcasts, compressed_frame).beside(std::move(storage));
  return {std::move(storage), size, static_cast<std::uint16_t>(broadcasts.size()), 0, {}};
}

bool excepts(const fan_out& b, connection_id id) {
  return b.except && std::ranges::binary_search(*b.except, id);
}

/// One by one: for who is excepted from some of a batch, or has not the room for all of it.
void deliver_singly(batch broadcasts, const core_ptr& to) {
  for (const auto& b : broadcasts)
    if (!excepts(b, to->id)) to->send(protocol::as_chunk(b.what));
}

/// Broadcasts that nobody asked the outcome of.
void deliver_folded(batch broadcasts, const std::vector<core_ptr>& members) {
  const send_frames run{fold(broadcasts)};
  const auto shared = caf::make_message(run);
  const bool exceptions =
      std::ranges::any_of(broadcasts, [](const fan_out& b) { return b.except != nullptr; });
  for (const auto& to : members) {
    const bool excepted =
        exceptions && !protocol::planted(protocol::defect::run_to_all) &&
        std::ranges::any_of(broadcasts, [&](const fan_out& b) { return excepts(b, to->id); });
    if (!excepted && to->try_admit(run.what.frames, run.what.size))
      actor_of(*to).pass(run, shared);
    else if (!protocol::planted(protocol::defect::run_or_nothing))
      deliver_singly(broadcasts, to);
  }
}

/// One whose outcomes are counted: its receipt is this loop's part of the summary.
void deliver_counted(const fan_out& b, const std::vector<core_ptr>& members) {
  const auto tally = std::make_shared<roster_tally>(b.asked, b.terms);
  const bool named = b.asked->most_ids() > 0;
  const auto chunk = protocol::as_chunk(b.what, tally);
  for (const auto& to : members) {
    if (excepts(b, to->id)) continue;
    tally->expect();
    if (named)
      to->send(protocol::as_chunk(b.what, std::make_shared<named_receipt>(tally, to->id, b.terms)));
    else
      to->send(chunk);
  }
}

/// One that goes on terms of its own.
void deliver_on_terms(const fan_out& b, const std::vector<core_ptr>& members) {
  const auto chunk = protocol::as_chunk(b.what, std::make_shared<silent_receipt>(b.terms));
  for (const auto& to : members)
    if (!excepts(b, to->id)) to->send(chunk);
}

/// A run is not checked again: what is over the limit never enters one.
bool fits(const fan_out& b, const limits& bounds) {
  return !b.asked && !b.terms && b.what.size() <= bounds.max_send_size;
}

// A run is held until the slowest connection has taken it: larger ones save no more calls worth having.
constexpr std::size_t max_run_bytes = 256 * 1024;

}  // namespace

std::size_t deliver(batch broadcasts, const std::vector<core_ptr>& members, const limits& bounds,
                    std::size_t most_messages) {
  std::size_t i = 0;
  for (std::size_t messages = 0; i < broadcasts.size() && messages < most_messages;
       messages += members.size()) {
    if (broadcasts[i].asked) {
      deliver_counted(broadcasts[i++], members);
      continue;
    }
    if (broadcasts[i].terms) {
      deliver_on_terms(broadcasts[i++], members);
      continue;
    }
    if (!fits(broadcasts[i], bounds)) {
      for (const auto& to : members) deliver_singly(broadcasts.subspan(i, 1), to);
      ++i;
      continue;
    }
    auto end = i;
    for (std::size_t bytes = 0; end < broadcasts.size() && fits(broadcasts[end], bounds); ++end) {
      bytes += broadcasts[end].what.frame().size();
      if (end > i && (bytes > max_run_bytes || end - i == protocol::most_frames)) break;
    }
    deliver_folded(broadcasts.subspan(i, end - i), members);
    i = end;
  }
  return i;
}

namespace {

bool may_wait(environment& env, std::size_t bytes) {
  const auto& bounds = env.limits();
  const auto most = std::min<std::size_t>(bounds.max_pending_broadcasts, UINT32_MAX);
  if (env.pending_broadcasts->try_add(1, bytes, static_cast<std::uint32_t>(most),
                                      bounds.max_pending_broadcast_bytes))
    return true;
  env.count(protocol::limit_hit::pending_broadcasts);
  return false;
}

}  // namespace

permit_ptr permit_for(environment& env, const message& what) {
  const auto bytes = what.frame().size();
  if (!may_wait(env, bytes)) return nullptr;
  return std::make_shared<const broadcast_permit>(env.pending_broadcasts, bytes);
}

user_permit_ptr permit_for_user(environment& env, const message& what) {
  const auto bytes = what.frame().size();
  if (!may_wait(env, bytes)) return nullptr;
  return std::make_shared<const user_permit>(env.pending_broadcasts, bytes, env.unmet);
}

protocol::terms_ptr terms_for(environment& env, const send_options& how) {
  if (protocol::ordinary(how)) return nullptr;
  return protocol::make_terms(how, env.options.loops.front()->read_clock());
}

namespace {

/// How many a broadcast that is refused at once was for, as far as can be told without asking the rosters. Who of `except`
/// is still there cannot: so it is at least one while anybody is, since a summary of nobody would say that nothing was
/// refused.
std::size_t meant_for(const environment& env, std::vector<connection_id> except) {
  const std::size_t there = env.connections;
  const auto latest = env.system.latest_actor_id();
  std::erase_if(except, [&](connection_id id) {
    return id.loop >= env.loops.size() || id.serial == 0 || id.serial > latest;
  });
  std::ranges::sort(except);
  except.erase(std::unique(except.begin(), except.end()),
               except.end());  // clang 14 builds no subrange
  return there > except.size() ? there - except.size() : std::min<std::size_t>(there, 1);
}

}  // namespace

bool submit(environment& env, message what, std::vector<connection_id> except,
            const send_options& how, summary_ptr asked) {
  auto permit = env.over ? nullptr : permit_for(env, what);
  if (!permit) {
    if (!asked) return false;
    broadcast_summary refused;
    refused.add(env.over ? send_result::closed : send_result::overflow,
                meant_for(env, std::move(except)));
    asked->add(refused);
    return false;
  }
  std::ranges::sort(except);
  auto excepted = except.empty()
                      ? nullptr
                      : std::make_shared<const std::vector<connection_id>>(std::move(except));
  tell(env.supervisor, broadcast{std::move(what), std::move(excepted), std::move(asked),
                                 std::move(permit), terms_for(env, how)});
  return true;
}

}  // namespace fairlead::actors
