"""The console: what an operator needs to see and to do, as web pages of the gateway.

Pages are plain HTML with real forms. One small script keeps them up to date and draws the rate; without it every page
still works. A person logs in with a token of the gateway that has a role.

    app           the application: languages, headers, how errors are shown
    viewer        who looks: role, brands, and what follows from them (pure)
    session       the signed cookie of a login, and the token that every form carries
    login         log in, log out, choose the language
    words         names of states, roles and pages, in the viewer's language
    rendering     templates, and how numbers and moments are written
    wiring        what a console works with: connections, tokens, logins, paths
    context       what every page is served with
    specs         the specs of a run by filter, page by page
    now           what the first page says
    parts         the parts of pages that are kept up to date
    live          one reading a second for all who look
    streams       parts as server-sent events
    pages         runs, specs, pictures, holds, dead letters
    schedules     the page of schedules
    acts          every form that changes something
    selection_pages  an act on all that match a filter
    audit_page    who did what
    uploads       a catalog in the browser: first checked, then submitted
    upload_pages  its pages
"""
