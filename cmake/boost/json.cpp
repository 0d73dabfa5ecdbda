// The one source that holds the body of Boost.JSON.
#include <boost/json/src.hpp>
