#include "net/socket_group.hpp"

namespace fairlead::net {

void socket_owner::join(std::shared_ptr<socket_group> group, client_network from) {
  group->crowd().enter(from);
  from_ = from;
  group_ = std::move(group);
  next_ = group_->first_;
  if (next_) next_->previous_ = this;
  group_->first_ = this;
}

void socket_owner::leave() noexcept {
  if (!group_) return;
  if (next_) next_->previous_ = previous_;
  (previous_ ? previous_->next_ : group_->first_) = next_;
  next_ = previous_ = nullptr;
  group_->crowd().leave(from_);
  group_.reset();
}

void socket_group::write_log(severity level, std::string_view event,
                             std::initializer_list<log_field> fields) const noexcept {
  if (logger_) (*logger_)(level, event, fields);
}

void socket_group::wind_down() noexcept {
  winding_down_ = true;
  for (socket_owner* owner = first_; owner;) std::exchange(owner, owner->next_)->wind_down();
}

void socket_group::limits_changed() noexcept {
  for (socket_owner* owner = first_; owner; owner = owner->next_) owner->limits_changed();
}

void socket_group::drop_all() noexcept {
  winding_down_ = true;
  while (socket_owner* owner = first_) {
    owner->drop();
    if (first_ == owner) owner->leave();  // whatever it did, this ends
  }
}

}  // namespace fairlead::net
