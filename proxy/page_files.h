// SPDX-License-Identifier: PostgreSQL
//
// The files of proxy/page/, as the build has put them into the program (page/embed.py).
#ifndef PGFOLD_PROXY_PAGE_FILES_H
#define PGFOLD_PROXY_PAGE_FILES_H

#include <stddef.h>

#define PAGE_TEMPLATE "/page.html"

struct page_file {
    const char *path, *type, *etag; // etag: with its quotes
    const unsigned char *data;      // and a zero behind it
    size_t len;
};

extern const struct page_file page_files[]; // the last one has no path

#endif
