#pragma once
#include <caf/actor.hpp>
#include <fairlead/result.hpp>
#include <actors/handle.hpp>
#include <boost/json.hpp>
