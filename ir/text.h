/* Private to ir/: the words of the textual form, for printer and parser. */
#ifndef RONDO_IR_TEXT_H
#define RONDO_IR_TEXT_H

extern const char *const axis_kind_text[5];
extern const char *const input_kind_text[5];
extern const char *const noise_kind_text[3];
extern const char *const root_kind_text[12];
extern const char label_text[11]; /* labels of a dot from 1 */

#endif
