// The one source that holds the body of Boost.URL.
#include <boost/url/src.hpp>
