// The one source that compiles Asio's, Asio SSL's and Beast's implementations (BOOST_ASIO_SEPARATE_COMPILATION):
// each costs half a minute, and header-only use would pay it in every source.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
