// The one source that compiles Asio's implementation (BOOST_ASIO_SEPARATE_COMPILATION): it costs half a minute, and header-only
// use would pay it in every source. The same holds for asio_ssl_impl.cpp and beast_impl.cpp.
#include <boost/asio/impl/src.hpp>
