// What a program does that compiles Asio itself: CONSUMER_OWN says how much of it (asio, ssl, beast). Beside it, Asio's deprecated
// names, which are the program's own business.
#include <boost/asio/impl/src.hpp>
#if CONSUMER_OWN > 1
#include <boost/asio/ssl/impl/src.hpp>
#endif
#if CONSUMER_OWN > 2
#include <boost/beast/src.hpp>
#endif

#ifdef BOOST_ASIO_NO_DEPRECATED
#error "jirapool takes Asio's deprecated names away from its users"
#endif
