#pragma once
#include <string>
#include <boost/asio/io_context.hpp>
#include <caf/actor.hpp>
#include <fairlead/caf/handle.hpp>
#include "protocol/frame.hpp"
#include <spdlog/spdlog.h>
#include <fairlead/result.hpp>
