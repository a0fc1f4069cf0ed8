// What ssh keeps in files, as far as a fetch has to understand it: known_hosts (sshd(8)) and what kind of key a
// private key is.
#pragma once

#include <string>
#include <string_view>

namespace gitproc {

// known_hosts without what libssh2 does not understand: markers go, and with @revoked every other line of that key.
std::string usable_known_hosts(std::string_view text);

// What known_hosts says of a host whose key was not accepted. Hashed lines cannot be told apart.
enum class HostKnowledge { known, unknown, perhaps };
HostKnowledge knowledge_of_host(std::string_view known_hosts, std::string_view host);

// Whether it is an RSA key, in any of OpenSSH's and OpenSSL's forms, as far as that can be seen without decrypting.
bool is_rsa_key(std::string_view private_key);

}  // namespace gitproc
