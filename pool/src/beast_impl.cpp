// Beast's implementation: see asio_impl.cpp.
#include <boost/beast/src.hpp>
