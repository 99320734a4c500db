#pragma once

#include "reply.hpp"
#include "visit.hpp"

#include <jirapool/mock/scenes.hpp>
#include <jirapool/mock/world.hpp>

namespace jirapool::mock {

// How each scene answers: a table in scenes.cpp. Which of them play, and for whom, is stage's.

scene_place place_of(scene s) noexcept;
/// The scene only adds headers to what the mock answers by itself.
bool adds_to_own_answer(scene s) noexcept;
/// The scene's answer into `out`, which holds the mock's own if the scene adds to it; v learns what the tally counts.
void perform(scene_request const& s, visit& v, world const& w, reply& out);

}  // namespace jirapool::mock
