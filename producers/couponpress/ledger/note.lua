-- Note an act in the audit log. A full server runs it too: an act that frees memory must not fail for its note.
-- Needs note_act.lua
-- KEYS[1] how often each act was noted   KEYS[2] audit log
-- ARGV[1] what came of the act   ARGV[2] how long entries are kept, ms   ARGV[3] the act in JSON, see note_act.lua
-- Returns 1.
note_act(ARGV[1])
return 1
