#pragma once
#include <atomic>
#include <chrono>
#include <mutex>
#include <sys/socket.h>
#include <fmt/core.h>
// #include <thread> is only talked about here, and so is steady_clock::now()
/* and here:
#include <caf/all.hpp>
*/
#  include "net/link.hpp"
#include "limits.hpp"
#include "protocol/limits.hpp"
#include <fairlead/result.hpp>
#include <fairlead/server.hpp>
inline const char* text = "steady_clock::now()";
inline auto wrong = std::chrono::steady_clock::now();
inline int separated = 10'000;  /* isn't code:
#include <caf/all.hpp> */
